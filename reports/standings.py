"""The rows of a suite over all of its workloads: scores on a common scale, mean ranks, times to a target, and how sure all that is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.statistics import across_workloads, effects
from bench.statistics.intervals import Floats, Interval
from bench.store import validation
from reports import aggregate_plots as draw
from reports.figure_style import Style
from reports.table import Leaderboard
from reports.trials import NamedFigure, Trials, rows_of
from reports.workload_summary import WorkloadSummary, scores_of_runs, summarise_workload

_RANKS = "Rows by their mean rank over the workloads, best left. A bar joins rows that Friedman's and Nemenyi's tests do not tell apart."
_PROFILE = (
    "Share of workloads on which a row reaches the target within a multiple of the fastest row's updates. "
    "A row that never does stays below 1, whatever the multiple."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """One row over all workloads.

    Attributes:
        label: the row.
        iqm: interquartile mean of its scores on the common scale, 1 for the best row's median and 0 for the worst's.
        improves: P(one of its runs beats one of the leader's), in [0, 1]; None for the leader.
        rank: its mean rank, 1 is best.
        score: area under its performance profile, in [0, 1].
        speed: geometric mean of the baseline's updates to the target over its own; NaN where no workload has both.
        faster: how many workloads have both.
    """

    label: str
    iqm: Interval
    improves: Interval | None
    rank: float
    score: float
    speed: float
    faster: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkloadComparison:
    """The rows that every table has, over all tables.

    Attributes:
        standings: best first.
        ranks: mean ranks with their tests.
        verdict: what the tests say, in a sentence or two.
        baseline: the row that speed-ups are against.
        sample: how much this rests on: workloads, seeds, tier.
        workloads: the tables.
        left_out: labels that some table lacks.
        figures: performance profile and mean ranks.
    """

    standings: list[Standing]
    ranks: across_workloads.Ranks
    verdict: str
    baseline: str
    sample: str
    workloads: list[WorkloadSummary]
    left_out: list[str]
    figures: list[NamedFigure]


def compare_over_workloads(
    tables: Sequence[Leaderboard], trials: Trials, style: Mapping[str, Style], references: Sequence[str]
) -> WorkloadComparison | None:
    """Compare the rows that every table has; None where there are fewer than two tables or two such rows.

    Args:
        tables: one a workload, each with rows and columns.
        trials: the records behind them.
        style: how the labels look.
        references: the rows whose best is the target of a workload; the first of them that all tables have is the baseline of speed-ups.
    """
    labels = [r.label for r in tables[0].rows if all(r.label in {row.label for row in t.rows} for t in tables)] if tables else []
    if len(tables) < 2 or len(labels) < 2:
        return None
    upward = [t.column(t.sort).higher_is_better for t in tables]
    runs = [[scores_of_runs(t, trials, label) for label in labels] for t in tables]
    targets = [_target(t, trials, references) for t in tables]
    times = np.array([[_updates_to_target(t, trials, label, goal) for t, goal in zip(tables, targets, strict=True)] for label in labels])
    ranks = across_workloads.rank(
        [[_larger_is_better(r, up).mean() for r in of_table] for of_table, up in zip(runs, upward, strict=True)]
    )  # a row with a seed that diverged is last
    profile = across_workloads.profile(times)
    standings, baseline = _rank_rows(labels, runs, upward, ranks, profile, times, references)
    figures = [NamedFigure("ranks", "Mean ranks", _RANKS, draw.critical_difference(labels, ranks, style))]
    if np.isfinite(times).any():
        figures.insert(0, NamedFigure("profile", "Performance profile", _PROFILE, draw.profile(labels, profile, style)))
    every = dict.fromkeys(row.label for t in tables for row in t.rows)
    return WorkloadComparison(
        standings=standings,
        ranks=ranks,
        verdict=_state_verdict(labels, ranks),
        baseline=baseline,
        sample=_describe_sample(tables, runs),
        workloads=[summarise_workload(t, trials, labels, times[:, i], targets[i]) for i, t in enumerate(tables)],
        left_out=[label for label in every if label not in labels],
        figures=figures,
    )


def _rank_rows(
    labels: Sequence[str], runs: Sequence[Sequence[Floats]], upward: Sequence[bool], ranks: across_workloads.Ranks,
    profile: across_workloads.PerformanceProfile, times: Floats, references: Sequence[str],
) -> tuple[list[Standing], str]:  # fmt: skip
    """The standings, best first, and the row that speed-ups are against."""
    scaled = [across_workloads.normalise(of_table, higher_is_better=up) for of_table, up in zip(runs, upward, strict=True)]
    better = [[_larger_is_better(r, up) for r in of_table] for of_table, up in zip(runs, upward, strict=True)]
    means = [across_workloads.iqm([of_table[i] for of_table in scaled]) for i in range(len(labels))]
    leader = max(range(len(labels)), key=lambda i: (means[i].mean, -ranks.mean[i]))
    base = next((labels.index(r) for r in references if r in labels), leader)
    standings = []
    for i, label in enumerate(labels):
        improves = None if i == leader else across_workloads.improvement([b[i] for b in better], [b[leader] for b in better])
        speed, faster = across_workloads.speed_up(times[i], times[base])
        rank, score = float(ranks.mean[i]), float(profile.score[i])
        standings.append(Standing(label=label, iqm=means[i], improves=improves, rank=rank, score=score, speed=speed, faster=faster))
    return sorted(standings, key=lambda s: (-s.iqm.mean, s.rank, s.label)), labels[base]


def _larger_is_better(runs: Floats, higher_is_better: bool) -> Floats:
    """Scores of which the larger is better, -inf for a run that diverged."""
    return np.where(np.isnan(runs), -np.inf, runs if higher_is_better else -runs)


def _describe_sample(tables: Sequence[Leaderboard], runs: Sequence[Sequence[Floats]]) -> str:
    """How much the standings rest on, in a sentence."""
    sizes = sorted({len(r) for of_table in runs for r in of_table})
    seeds = "1 seed" if sizes == [1] else f"{sizes[0]} seeds" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} seeds"
    tiers = ", ".join(sorted({r.tier for t in tables for r in t.rows}))
    first = " Of a workload with several test sets the first stands here." if any(t.test_set for t in tables) else ""
    return f"{len(tables)} workloads, {seeds} a row on each, tier {tiers}.{first}"


def _state_verdict(labels: Sequence[str], ranks: across_workloads.Ranks) -> str:
    """What the tests across workloads say, in a sentence or two."""
    if ranks.reason:
        return ranks.reason[0].upper() + ranks.reason[1:] + "."
    p = f"p = {ranks.p:.2g}" if ranks.p >= 0.001 else "p < 0.001"
    first = f"Friedman's test over {ranks.n} workloads: {p}."
    if not ranks.different.any():
        return f"{first} No two rows can be told apart."
    best = int(np.argmin(ranks.mean))
    worse = [labels[i] for i in np.argsort(ranks.mean) if ranks.different[best, i]]
    ahead = f"is ahead of {', '.join(worse)}" if worse else "is told from no other row"
    return f"{first} {labels[best]}, of the best mean rank, {ahead} (Nemenyi, mean ranks {ranks.critical:.2f} apart)."


def _target(table: Leaderboard, trials: Trials, references: Sequence[str]) -> float:
    """The validation score to reach: the best of the references', or where there are none that which the middle row reaches."""
    rows = rows_of(table, trials)
    if references:
        return validation.target(rows, references)
    medians = [validation.target(rows, [label]) for label in dict.fromkeys(r.label for r in rows)]
    sound = sorted(m for m in medians if not math.isnan(m))
    return sound[len(sound) // 2] if sound else math.nan


def _updates_to_target(table: Leaderboard, trials: Trials, label: str, goal: float) -> float:
    """Median over seeds of the updates to the target; a seed that misses it, or diverges, counts as inf."""
    times = []
    for r in rows_of(table, trials):
        if r.label == label and r.outcome in ("finished", "diverged"):
            reached = effects.steps_to_target(*validation.curve(r), goal, higher_is_better=validation.higher_is_better(r))
            times.append([reached if r.outcome == "finished" else math.inf])
    return max(across_workloads.time_to_result(times), 1.0) if times else math.inf
