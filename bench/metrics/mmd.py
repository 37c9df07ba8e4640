"""Maximum mean discrepancy with a Gaussian kernel: Gretton, Borgwardt, Rasch, Scholkopf and Smola (JMLR 13, 2012)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._samples import FeatureMetric, Net, drop_self, squared_distances
from bench.remember import remember

_MEDIAN_OF = 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMD(FeatureMetric):
    """Unbiased squared MMD with the kernel exp(-|x - y|^2 / 2s^2), s the median distance of real samples, the same for every method.

    May be negative for equal laws. Remark: the bandwidth s (of the first 2000 real samples, where there are more).
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = "unbiased squared maximum mean discrepancy, Gaussian kernel, median bandwidth (Gretton et al. 2012)"

    net: Net = "pixels"

    @override
    def protocol(self) -> dict[str, Any]:
        return {
            **super().protocol(),
            "bandwidth": f"median distance of {_MEDIAN_OF} real samples at most",
            "arithmetic": "float64, all pairs",
        }

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        a, b = self.features(fake, real)
        width, among_real = remember(real, self, lambda: _among(b))
        return {"mmd": _mean_within(a, width) + among_real - 2 * _mean_between(a, b, width), "mmd/bandwidth": width}


def _among(x: Tensor) -> tuple[Tensor, Tensor]:
    """The bandwidth, and the mean kernel over pairs, of real samples."""
    some = x[:_MEDIAN_OF]
    apart = torch.cat([drop_self(rows, d).flatten() for rows, d in squared_distances(some, some)])
    width = apart[apart.isfinite()].sqrt().quantile(0.5)
    return width, _mean_within(x, width)


def _mean_within(x: Tensor, width: Tensor) -> Tensor:
    """Over pairs of different rows; a row with itself has the kernel 1."""
    return (_mean_between(x, x, width) * len(x) - 1) / (len(x) - 1)


def _mean_between(a: Tensor, b: Tensor, width: Tensor) -> Tensor:
    """Mean of exp(-|x - y|^2 / 2s^2) over all pairs."""
    sums = [torch.where(d > 0, (d / (-2 * width**2)).exp(), 1.0).sum() for _, d in squared_distances(a, b)]
    return torch.stack(sums).sum() / (len(a) * len(b))
