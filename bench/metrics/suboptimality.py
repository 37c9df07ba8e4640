"""How far the value of a function is above its minimum."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from bench.metric import Metric
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suboptimality(Metric):
    """f(w) - f*, or its decimal logarithm, whose mean no single seed decides, neither the worst nor one that hit the minimum by luck."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = (
        "f(w) - f*, f* the known minimum, f without its noise; at least 0, and `floor` where the decimal logarithm is taken"
    )

    log10: bool = param(False, "take the decimal logarithm")
    floor: float = param(1e-12, "least excess of which a logarithm is taken: below it rounding decides")

    def __call__(self, value: float, least: float) -> float:
        """The excess of a value over the least one; nan stays nan."""
        excess = value - least if value > least or value != value else 0.0
        return math.log10(max(self.floor, excess)) if self.log10 and excess == excess else excess
