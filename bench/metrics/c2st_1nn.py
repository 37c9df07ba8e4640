"""Classifier two-sample test, one nearest neighbour: Lopez-Paz and Oquab (ICLR 2017, arXiv 1610.06545); Xu et al. (arXiv 1806.07755)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._samples import FeatureMetric, Net, drop_self, squared_distances


@dataclasses.dataclass(frozen=True, kw_only=True)
class C2ST(FeatureMetric):
    """Can real and fake be told apart by their nearest neighbour, itself left out? 0.5: no; 1: always.

    An accuracy below one half tells them apart as well (fakes that sit on real samples): it counts as 1 minus itself. Remarks: the plain
    accuracy, on the fakes, and on the real samples (high on fakes and low on real ones: modes were dropped). Of both sets the first min(n,
    m) are used.
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    definition: ClassVar[str] = (
        "leave-one-out accuracy a of one nearest neighbour telling real from fake, max(a, 1 - a) (Lopez-Paz and Oquab 2017)"
    )

    net: Net = "pixels"

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "sets": "the first min(n, m) of each", "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        n = min(len(fake), len(real))
        a, b = self.features(fake, real)
        both = torch.cat((a[:n], b[:n]))
        nearest = torch.cat([drop_self(rows, d).argmin(1) for rows, d in squared_distances(both, both)])
        right = ((nearest < n) == (torch.arange(2 * n, device=both.device) < n)).double()
        accuracy = right.mean()
        return {
            "c2st_1nn": torch.maximum(accuracy, 1 - accuracy),
            "c2st_1nn/accuracy": accuracy,
            "c2st_1nn/fake": right[:n].mean(),
            "c2st_1nn/real": right[n:].mean(),
        }
