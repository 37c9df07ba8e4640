"""How often a classifier errs on a distribution whose points are of a few known kinds."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from torch import Tensor

from bench.metric import Metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class PopulationError(Metric):
    """The probability of the misread kinds; no test set is drawn."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = "probability that y x'w <= 0 for a new point, summed exactly over the kinds of points"

    def __call__(self, outputs: Tensor, labels: Tensor, weights: Tensor) -> float:
        """Sum the weights (N) of points whose outputs x'w (N) lack the sign of their labels (N, -1 or 1); nan where an output is."""
        return math.nan if outputs.isnan().any() else float(weights[outputs * labels <= 0].sum())
