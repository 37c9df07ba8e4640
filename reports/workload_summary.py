"""One table of a suite as a workload: how many rows reach its target, what its seeds could show, where its variance comes from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bench.statistics import effects
from bench.statistics.intervals import Floats
from reports.table import Leaderboard
from reports.trials import Trials, rows_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkloadSummary:
    """One table as a workload.

    Attributes:
        name: of the table.
        target: the validation score that counts as reached.
        reached: how many of its `rows` reach it.
        seeds: the fewest that a row has.
        detectable: the smallest true difference that a test over so many seeds finds; NaN below two.
        shares: of the variance of a score: training seed, image, rest; NaN where they cannot be told.
        table: its leaderboard.
    """

    name: str
    target: float
    reached: int
    rows: int
    seeds: int
    detectable: float
    shares: tuple[float, float, float]
    table: Leaderboard

    def text(self, value: float) -> str:
        """A number of the ranked column as the report prints it."""
        return self.table.column(self.table.sort).text(value)


def scores_by_seed(table: Leaderboard, trials: Trials, label: str) -> dict[int, float]:
    """Seed -> the ranked score of a row; NaN for one that diverged."""
    runs = [r for r in rows_of(table, trials) if r.label == label and r.outcome in ("finished", "diverged")]
    return {r.seed: r.final.get(table.sort, math.nan) if r.outcome == "finished" else math.nan for r in runs}


def scores_of_runs(table: Leaderboard, trials: Trials, label: str) -> Floats:
    """The ranked scores of a row, one a seed; NaN for one that diverged."""
    return np.array(list(scores_by_seed(table, trials, label).values()))


def summarise_workload(table: Leaderboard, trials: Trials, labels: Sequence[str], times: Floats, goal: float) -> WorkloadSummary:
    """A table with its target, the score `goal`, and the updates that each of the labels took to it (inf: it never did)."""
    return WorkloadSummary(
        name=table.name,
        target=goal,
        reached=int(np.isfinite(times).sum()),
        rows=len(labels),
        seeds=min(len(scores_by_seed(table, trials, label)) for label in labels),
        detectable=_detectable_difference(table, trials, labels),
        shares=_variance_shares(table, trials),
        table=table,
    )


def _detectable_difference(table: Leaderboard, trials: Trials, labels: Sequence[str]) -> float:
    """The smallest difference that as many seeds would show, of two rows as this table has them; rows with a divergence are left out."""
    scores = [scores_of_runs(table, trials, label) for label in labels]
    whole = [of_row for of_row in scores if len(of_row) > 1 and np.isfinite(of_row).all()]
    if len(whole) < 2:
        return math.nan
    return effects.detectable_difference(float(np.median([of_row.std(ddof=1) for of_row in whole])), min(map(len, whole)))


def _variance_shares(table: Leaderboard, trials: Trials) -> tuple[float, float, float]:
    """Of the variance of a single score: training seed, image, rest. Averaged over rows with several seeds; NaN without images."""
    parts = []
    for label in {r.label for r in table.rows if not r.diverged}:
        frames = [r.per_image for r in rows_of(table, trials) if r.label == label and r.outcome == "finished"]
        frames = [f[f["column"] == table.sort].set_index("image")["value"] for f in frames]
        if len(frames) > 1 and all(len(f) > 1 and f.index.equals(frames[0].index) for f in frames):
            scores = np.stack([f.to_numpy(float) for f in frames])
            if np.isfinite(scores).all():
                v = effects.variance(scores)
                parts.append((v.training, v.image, v.residual))
    total = np.mean(parts, axis=0) if parts else np.full(3, math.nan)
    share = total / total.sum() if total.sum() > 0 else np.full(3, math.nan)
    return float(share[0]), float(share[1]), float(share[2])
