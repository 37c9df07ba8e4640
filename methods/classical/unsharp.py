"""Unsharp masking: the simplest blind sharpener.

Darkroom practice since the 1930s (J. A. C. Yule, "Unsharp masks and a new method of increasing definition in prints", Phot. J. 1944);
digital form: R. C. Gonzalez, R. E. Woods, "Digital Image Processing", Sec. 3.6.

| source | here |
|---|---|
| y + amount (y - G * y) | `restore` |

Departures: none.
Tuning: TUNE_UNSHARP
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from bench.method import Batch, Method, param
from bench.psf import convolve


class Unsharp(Method):
    """Add back what a Gaussian blur takes away."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Strength and scale."""

        amount: float = param(0.25, "weight of the detail that is added")
        radius: float = param(5.0, "standard deviation of the Gaussian, pixels")

        def __post_init__(self) -> None:
            if self.radius <= 0:
                raise ValueError(f"radius must be > 0, not {self.radius}")

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1]."""
        y, reach = batch.observed, math.ceil(3 * self.hp.radius)
        profile = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=y.device, dtype=y.dtype) / self.hp.radius).square())
        gaussian = torch.outer(profile, profile) / profile.sum().square()
        return (y + self.hp.amount * (y - convolve(y, gaussian.unsqueeze(0), "replicate"))).clamp(0, 1)
