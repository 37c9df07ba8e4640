"""What the validation scores of one training say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

History = Sequence[tuple[int, float]]  # (step, score), in order


def is_perfect(value: float, higher_is_better: bool | None) -> bool:
    """Whether the score is infinite in the good direction; None: not known, no score is."""
    return higher_is_better is not None and value == (math.inf if higher_is_better else -math.inf)


def best_step(history: History, higher_is_better: bool) -> int:
    """The first step with the best score; 0 where there is none."""
    values = _upward(history, higher_is_better)
    return history[values.index(max(values))][0] if values else 0


def summary(history: History, higher_is_better: bool) -> dict[str, float]:
    """Best step, area under the curve (its mean over updates), step of collapse where there was one; nothing of a single score.

    A score may be infinitely good, and so is the area then.
    """
    if len(history) < 2:
        return {}
    area = sum((b - a) * (u + v) / 2 for (a, u), (b, v) in itertools.pairwise(history))
    out = {"best_step": float(best_step(history, higher_is_better)), "auc": area / max(history[-1][0] - history[0][0], 1)}
    if (step := collapse_step(history, higher_is_better)) is not None:
        out["collapse_step"] = float(step)
    return out


def collapse_step(history: History, higher_is_better: bool) -> int | None:
    """The first validation after the best from which on more than half of the gain over the start stays lost; None if there is none.

    What is infinitely good counts as the best of the finite scores: of an infinite gain every finite score would have lost more than half.
    """
    values = _upward(history, higher_is_better)
    best = max(range(len(values)), key=values.__getitem__)
    top = max(filter(math.isfinite, values), default=math.inf)
    floor = (min(values[0], top) + min(values[best], top)) / 2
    lost = [i for i in range(best + 1, len(values)) if all(not v > floor and v < math.inf for v in values[i:])]
    return history[lost[0]][0] if lost else None


def _upward(history: History, higher_is_better: bool) -> list[float]:
    return [value if higher_is_better else -value for _, value in history]
