"""Kullback-Leibler divergence of the truth from a saliency map."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch import Tensor

from bench.metric import SaliencyMetric
from bench.metrics._saliency import EPS, mass


@dataclasses.dataclass(frozen=True, kw_only=True)
class KL(SaliencyMetric):
    """Information lost where the map stands for the truth; 0 for the truth itself, hard on places that were looked at and are dark in the map."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "nat"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "sum over pixels of G log(eps + G / (S + eps)), both scaled to sum 1 (MIT saliency benchmark)"

    def protocol(self) -> dict[str, Any]:
        """The regulariser."""
        return {"eps": EPS}

    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        """See the base class."""
        s, g = mass(saliency), mass(truth[0])
        return (g * (EPS + g / (s + EPS)).log()).sum(1)
