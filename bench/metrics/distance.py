"""How far a point is from where it should be."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from torch import Tensor

from bench.metric import Metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distance(Metric):
    """Euclidean distance to the nearest minimiser."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "Euclidean distance of w to the nearest of the known minimisers"

    def __call__(self, w: Tensor, minimisers: Tensor) -> float:
        """The distance of a point (d) to the nearest of k points (k x d)."""
        return float((minimisers - w).norm(dim=1).min())
