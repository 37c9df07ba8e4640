"""What a record says about validation: its ranking column, its curve, where it ended, and what the references of a suite reached."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from bench.statistics.intervals import Floats
from bench.store.record import TrialRecord

_SPLIT = "validation/"


def column_of(record: TrialRecord) -> str:
    """The column that validation ranks by: the first it logs; empty where the trial was not validated."""
    keys = record.curves["key"]
    found = keys[keys.str.startswith(_SPLIT)] if len(keys) else keys
    return str(found.iloc[0]).removeprefix(_SPLIT) if len(found) else ""


def card(records: Iterable[TrialRecord]) -> dict[str, Any]:
    """The card of that column, from the first of the records that was validated; empty where none was."""
    return next((r.cards[c] for r in records if (c := column_of(r)) in r.cards), {})


def higher_is_better(*records: TrialRecord) -> bool:
    """The direction of that column, by its card."""
    return bool(card(records).get("higher_is_better", False))


def curve(record: TrialRecord) -> tuple[Floats, Floats]:
    """(updates, scores) of that column, in order."""
    points = record.curves[record.curves["key"] == _SPLIT + column_of(record)]
    return points["step"].to_numpy(np.float64), points["value"].to_numpy(np.float64)


def final(record: TrialRecord, *others: TrialRecord) -> float:
    """The last score; the worst there is (-inf or inf) for a trial that diverged, NaN for one that came to no result.

    Args:
        record: the trial.
        others: of the same workload; they tell the direction where the trial was not validated.
    """
    if record.outcome == "diverged":
        return -math.inf if higher_is_better(record, *others) else math.inf
    scores = curve(record)[1]
    return float(scores[-1]) if record.outcome == "finished" and len(scores) else math.nan


def target(records: Iterable[TrialRecord], references: Collection[str]) -> float:
    """The best median over seeds of the final scores of the reference rows of one workload; NaN where none is on record."""
    known = list(records)
    up = higher_is_better(*known)
    rows: dict[str, list[float]] = {}
    for record in known:
        if record.role == "row" and record.label in references and not math.isnan(score := final(record, *known)):
            rows.setdefault(record.label, []).append(score)
    with np.errstate(invalid="ignore"):  # the middle of one infinitely good and one that diverged is NaN
        medians = [float(np.median(scores)) for scores in rows.values()]
    sound = [m for m in medians if not math.isnan(m) and m != (-math.inf if up else math.inf)]
    if not sound:
        return math.nan
    return max(sound) if up else min(sound)
