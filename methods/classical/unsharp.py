"""Unsharp masking: the simplest blind sharpener.

Darkroom practice since the 1930s (J. A. C. Yule, "Unsharp masks and a new method of increasing definition in prints", Phot. J. 1944);
digital form: R. C. Gonzalez, R. E. Woods, "Digital Image Processing", spatial filtering.

| source | here |
|---|---|
| y + amount (y - G * y) | `attempt` |

Departures: none.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from bench.method import Batch, param
from bench.offers import RestorationTask
from bench.operators.psf import convolve, gaussian
from methods.classical._tuned import Candidate, Tuned, TunedHP


class Unsharp(Tuned[RestorationTask]):
    """Add back what a Gaussian blur takes away."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """Strength and scale."""

        amount: float | tuple[float, ...] = param((0.15, 0.25, 0.4, 0.7), "weight of the detail that is added back")
        radius: float | tuple[float, ...] = param((2.0, 3.0, 5.0, 7.0), "standard deviation of the Gaussian, pixels")

        def __post_init__(self) -> None:
            if min(self.values("radius")) <= 0:
                raise ValueError(f"radius must be > 0, not {self.radius}")

    hp: HP

    @override
    def attempt(self, batch: Batch, hp: Candidate) -> Tensor:
        y = batch.observed
        return y + hp.amount * (y - convolve(y, gaussian(hp.radius, reach=3), "replicate"))
