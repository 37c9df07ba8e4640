"""How noisy the gradients of a workload are: what its trials measured (see `bench.analysis.gradient_noise`), in a line of a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bench.store.record import TrialRecord
from reports.table import Leaderboard

_PLACES = ("start", "end")


@dataclasses.dataclass(frozen=True)
class MedianAndRange:
    """Median over the trials of a workload with their range; `open` where the median is a lower bound."""

    median: float
    low: float
    high: float
    open: bool = False

    @property
    def text(self) -> str:
        """The median; "> 4096" where it is a bound."""
        return ("> " if self.open else "") + _number(self.median)

    @property
    def bracket(self) -> str:
        """The range; empty where all are one."""
        low, high = _number(self.low), _number(self.high)
        return f"[{low}, {high}]" if low != high else ""


@dataclasses.dataclass(frozen=True)
class NoiseSummary:
    """A workload's gradient noise at the start and at the end of training; None where nothing was measured there."""

    workload: str
    batch: str  # examples an update
    trials: int
    scale: tuple[MedianAndRange | None, ...]
    tail: tuple[MedianAndRange | None, ...]


def summarise_noise(table: Leaderboard, rows: Sequence[TrialRecord]) -> NoiseSummary | None:
    """What the trials that are the rows of a table measured, or None where they measured nothing."""
    told = [r for r in rows if "noise/examples" in r.summary]
    if not told:
        return None
    most = max(r.summary["noise/examples"] for r in told)
    return NoiseSummary(
        workload=table.name,
        batch=", ".join(sorted({r.params.get("batch_size", "1") for r in told})),
        trials=len(told),
        scale=tuple(_median_and_range(told, f"noise/{place}/scale", most) for place in _PLACES),
        tail=tuple(_median_and_range(told, f"noise/{place}/tail", math.inf) for place in _PLACES),
    )


def _median_and_range(records: Sequence[TrialRecord], key: str, limit: float) -> MedianAndRange | None:
    values = [r.summary[key] for r in records if key in r.summary]
    if not values:
        return None
    median = float(np.median(values))
    return MedianAndRange(median, min(values), max(values), median >= limit)


def _number(value: float) -> str:
    """Two decimals below 10, then none."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
