"""Gaussian smoothing: the least a denoiser can do.

The linear filter of Marr and Hildreth, "Theory of edge detection", Proc. R. Soc. B 1980; a Wiener filter in all but name.

| source                 | here     |
|------------------------|----------|
| y * G_radius           | `filter` |

Departures: none.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from bench.method import param
from bench.operators.psf import convolve, gaussian
from methods.classical._tuned import Candidate, Filter, TunedHP


class Gaussian(Filter):
    """A weighted mean of neighbours."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """The scale."""

        radius: float | tuple[float, ...] = param(
            (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0),
            "standard deviation, pixels",
        )

    hp: HP

    @override
    def filter(self, y: Tensor, sigma: Tensor, hp: Candidate) -> Tensor:
        """The level only decides which `radius` is best."""
        return convolve(y, gaussian(hp.radius, reach=4), "reflect")
