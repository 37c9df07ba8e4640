"""What a record says about validation: its ranking column, its curve, where it ended, and what the references of a suite reached."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import numpy as np

from bench.record import TrialRecord
from bench.stats import Floats

_SPLIT = "validation/"


def column_of(record: TrialRecord) -> str:
    """The column that validation ranks by: the first it logs; empty where the trial was not validated."""
    keys = record.curves["key"]
    found = keys[keys.str.startswith(_SPLIT)] if len(keys) else keys
    return str(found.iloc[0]).removeprefix(_SPLIT) if len(found) else ""


def higher_is_better(record: TrialRecord) -> bool:
    """The direction of that column."""
    return bool(record.cards.get(column_of(record), {}).get("higher_is_better", False))


def curve(record: TrialRecord) -> tuple[Floats, Floats]:
    """(updates, scores) of that column, in order."""
    points = record.curves[record.curves["key"] == _SPLIT + column_of(record)]
    return points["step"].to_numpy(np.float64), points["value"].to_numpy(np.float64)


def final(record: TrialRecord) -> float:
    """The last score; the worst there is (-inf or inf) for a trial that diverged, NaN for one that came to no result."""
    if record.outcome == "diverged":
        return -math.inf if higher_is_better(record) else math.inf
    scores = curve(record)[1]
    return float(scores[-1]) if record.outcome == "finished" and len(scores) else math.nan


def target(records: Iterable[TrialRecord], references: Collection[str]) -> float:
    """The best median over seeds of the final scores of the reference rows of one workload; NaN where none is on record."""
    rows: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.role == "row" and record.label in references and not math.isnan(final(record)):
            rows.setdefault(record.label, []).append(record)
    medians = [float(np.median([final(r) for r in group])) for group in rows.values()]
    finite = [m for m in medians if math.isfinite(m)]
    if not finite:
        return math.nan
    return max(finite) if higher_is_better(next(iter(rows.values()))[0]) else min(finite)
