"""What the validation scores of one training say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

History = Sequence[tuple[int, float]]  # (step, score), in order


def best_step(history: History, higher_is_better: bool) -> int:
    """The first step with the best score; 0 where there is none."""
    values = _upward(history, higher_is_better)
    return history[values.index(max(values))][0] if values else 0


def summary(history: History, higher_is_better: bool) -> dict[str, float]:
    """Best step, area under the curve (its mean over updates), step of collapse where there was one; nothing of a single score."""
    if len(history) < 2:
        return {}
    area = sum((b - a) * (u + v) / 2 for (a, u), (b, v) in itertools.pairwise(history))
    out = {"best_step": float(best_step(history, higher_is_better)), "auc": area / max(history[-1][0] - history[0][0], 1)}
    if (step := collapse_step(history, higher_is_better)) is not None:
        out["collapse_step"] = float(step)
    return out


def collapse_step(history: History, higher_is_better: bool) -> int | None:
    """The first validation after the best from which on more than half of the gain over the start stays lost; None if there is none."""
    values = _upward(history, higher_is_better)
    best = max(range(len(values)), key=values.__getitem__)
    floor = (values[0] + values[best]) / 2
    lost = [i for i in range(best + 1, len(values)) if all(not v > floor for v in values[i:])]
    return history[lost[0]][0] if lost else None


def _upward(history: History, higher_is_better: bool) -> list[float]:
    return [value if higher_is_better else -value for _, value in history]
