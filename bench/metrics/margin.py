"""On which side of a linear classifier a point lies, and how far."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from bench.metric import Metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Margin(Metric):
    """y x'w of the worst point."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = "least y x'w over the kinds of points, y in {-1, 1}: 1 fits the labels, below 0 a kind of point is misread"

    def __call__(self, outputs: Tensor, labels: Tensor) -> float:
        """The least margin of outputs x'w (N) under labels (N, -1 or 1)."""
        return float((outputs * labels).min())
