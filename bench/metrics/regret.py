"""What a player of an online game lost against the best fixed point."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from bench.metric import Metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regret(Metric):
    """R_T / T, the regret a round."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "per round"
    definition: ClassVar[str] = (
        "(1 / T) sum_t (f_t(x_t) - f_t(x*)), x* the best fixed point (Zinkevich, ICML 2003); over all updates of the training"
    )

    def __call__(self, total: float, rounds: int) -> float:
        """The regret summed over the rounds, a round."""
        return total / rounds
