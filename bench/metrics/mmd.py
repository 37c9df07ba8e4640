"""Maximum mean discrepancy with a Gaussian kernel: Gretton, Borgwardt, Rasch, Scholkopf and Smola (JMLR 13, 2012)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._kernel import unbiased_mmd
from bench.metrics._samples import FeatureMetric, Net, drop_self, squared_distances

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
        some = b[:_MEDIAN_OF]
        apart = torch.cat([drop_self(rows, d).flatten() for rows, d in squared_distances(some, some)])
        width = apart[apart.isfinite()].sqrt().quantile(0.5)

        def total(x: Tensor, y: Tensor) -> Tensor:
            return torch.stack([torch.where(d > 0, (d / (-2 * width**2)).exp(), 1.0).sum() for _, d in squared_distances(x, y)]).sum()

        return {"mmd": unbiased_mmd(a, b, total, lambda x: x.new_ones(len(x))), "mmd/bandwidth": width}
