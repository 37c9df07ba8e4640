"""Kullback-Leibler divergence of the truth from a saliency map."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import EPS, to_distribution


@dataclasses.dataclass(frozen=True, kw_only=True)
class KL(SaliencyMetric):
    """Information lost where the map stands for the truth: 0 for the truth itself, large where people looked and the map is dark."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "nat"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "sum over pixels of G log(eps + G / (S + eps)), both scaled to sum 1 (MIT saliency benchmark)"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"eps": EPS}

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        s, g = to_distribution(saliency), to_distribution(truth[0])
        return (g * (EPS + g / (s + EPS)).log()).sum(1)
