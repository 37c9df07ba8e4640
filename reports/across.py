"""What a report says across the tables of one suite: who is ahead on the whole, how sure that is, what tuning bought, what gradients and axes do.

Rows mean the same in every table where they carry the same label. One entry point, `section`; it is None where there is nothing to say.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.statistics import across_workloads, effects
from bench.statistics.intervals import Floats, Interval
from bench.store import validation
from bench.store.record import TrialRecord
from reports import aggregate_plots as draw
from reports import grid, noise, tried
from reports.plots import Style
from reports.table import Table
from reports.trials import Drawn, Trials, by_table, rows_of

if TYPE_CHECKING:
    from bench.suites.schema import Suite


@dataclasses.dataclass(frozen=True)
class Standing:
    """One row over all workloads. `improves` is P(one of its runs beats one of the leader's); `faster` counts workloads with both times."""

    label: str
    iqm: Interval
    improves: Interval | None
    rank: float
    score: float
    speed: float
    faster: int


@dataclasses.dataclass(frozen=True)
class Workload:
    """One table as a workload: its target, how many rows reach it, what its seeds could show, where its variance comes from (shares)."""

    name: str
    target: float
    reached: int
    rows: int
    seeds: int
    detectable: float
    shares: tuple[float, float, float]  # training seed, image, rest
    table: Table

    def text(self, value: float) -> str:
        """A number of the ranked column as the report prints it."""
        return self.table.column(self.table.sort).text(value)


@dataclasses.dataclass(frozen=True)
class Across:
    """What stands above the single tables. Lists are empty where they do not apply."""

    standings: list[Standing]  # best first
    ranks: across_workloads.Ranks | None
    verdict: str
    baseline: str  # whom the speed-up is against
    sample: str  # how much the standings rest on: workloads, seeds, tier
    workloads: list[Workload]
    left_out: list[str]  # labels that some table lacks
    figures: list[Drawn]
    widths: list[tuple[str, str, float, float]]  # workload, row, width in decades, share diverged
    noise: list[noise.Noise]  # of workloads whose loss is a mean over examples
    grids: list[grid.Grid]

    @property
    def drawn(self) -> list[Drawn]:
        """Every figure, those of the grids too."""
        return self.figures + [Drawn(f"{g.id}_{i}", g.title, text, figure) for g in self.grids for i, (text, figure) in enumerate(g.figures)]


def section(tables: Sequence[Table], records: Sequence[TrialRecord], style: Mapping[str, Style], suite: Suite | None = None) -> Across | None:
    """What can be said across tables, or None: one table, no axes, nothing tuned, no gradients measured.

    Args:
        tables: the leaderboards of one suite.
        records: every trial behind them; those whose role is "tuning" or "sensitivity" make the curves of those names.
        style: how the labels look.
        suite: its axes and references.
    """
    tables, trials = [t for t in tables if t.rows and t.columns], by_table(records)
    noises = [n for t in tables if (n := noise.of(t, rows_of(t, trials)))]
    figures = [*tried.swept(tables, trials, style), *tried.tuned(tables, trials, style)]
    found = Across([], None, "", "", "", [], [], figures, tried.widths(tables, trials), noises, [])
    axes = {**suite.axes, **{k: v for w in suite.workloads for k, v in w.axes.items()}} if suite else {}
    found = dataclasses.replace(found, grids=[g for i, t in enumerate(tables) if (g := grid.of(t, rows_of(t, trials), list(axes), f"grid{i}"))])
    labels = [r.label for r in tables[0].rows if all(r.label in {row.label for row in t.rows} for t in tables)] if tables else []
    if len(tables) > 1 and len(labels) > 1:
        found = _compared(found, tables, trials, labels, style, list(suite.references) if suite else [])
    return found if found.standings or found.grids or found.figures or found.noise else None


def _scores(table: Table, trials: Trials, label: str) -> dict[int, float]:
    """Seed -> the ranked score of a row; NaN for one that diverged."""
    runs = [r for r in rows_of(table, trials) if r.label == label and r.outcome in ("finished", "diverged")]
    return {r.seed: r.final.get(table.sort, math.nan) if r.outcome == "finished" else math.nan for r in runs}


def _runs(table: Table, trials: Trials, label: str) -> Floats:
    return np.array(list(_scores(table, trials, label).values()))


def _compared(found: Across, tables: Sequence[Table], trials: Trials, labels: list[str], style: Mapping[str, Style], references: list[str]) -> Across:
    """Standings, mean ranks, profile: the rows that every table has."""
    upward = [t.column(t.sort).higher_is_better for t in tables]
    runs = [[_runs(t, trials, label) for label in labels] for t in tables]
    scaled = [across_workloads.normalise(of_table, higher_is_better=up) for of_table, up in zip(runs, upward, strict=True)]
    better = [[_upward(r, up) for r in of_table] for of_table, up in zip(runs, upward, strict=True)]
    ranks = across_workloads.rank([[r.mean() for r in of_table] for of_table in better])  # a row with a seed that diverged is last
    goals = [_target(t, trials, references) for t in tables]
    times = np.array([[_time(t, trials, label, goal) for t, goal in zip(tables, goals, strict=True)] for label in labels])
    profile = across_workloads.profile(times)
    means_of = [across_workloads.iqm([of_table[i] for of_table in scaled]) for i in range(len(labels))]
    leader = max(range(len(labels)), key=lambda i: (means_of[i].mean, -ranks.mean[i]))
    base = next((labels.index(r) for r in references if r in labels), leader)
    standings = []
    for i, label in enumerate(labels):
        improves = None if i == leader else across_workloads.improvement([b[i] for b in better], [b[leader] for b in better])
        speed, faster = across_workloads.speed_up(times[i], times[base])
        standings.append(Standing(label, means_of[i], improves, float(ranks.mean[i]), float(profile.score[i]), speed, faster))
    standings.sort(key=lambda s: (-s.iqm.mean, s.rank, s.label))
    workloads = [_workload(t, trials, labels, times[:, i], goals[i]) for i, t in enumerate(tables)]
    figures = [Drawn("ranks", "Mean ranks", _RANKS, draw.critical(labels, ranks, style))]
    if np.isfinite(times).any():
        figures.insert(0, Drawn("profile", "Performance profile", _PROFILE, draw.profile(labels, profile, style)))
    every = dict.fromkeys(row.label for t in tables for row in t.rows)
    return dataclasses.replace(
        found, standings=standings, ranks=ranks, verdict=_verdict(labels, ranks), baseline=labels[base], sample=_sample(tables, runs),
        workloads=workloads, left_out=[label for label in every if label not in labels], figures=figures + found.figures,
    )  # fmt: skip


def _upward(runs: Floats, higher_is_better: bool) -> Floats:
    """Scores of which the larger is better, -inf for a run that diverged."""
    return np.where(np.isnan(runs), -np.inf, runs if higher_is_better else -runs)


def _sample(tables: Sequence[Table], runs: Sequence[Sequence[Floats]]) -> str:
    """How much the standings rest on, in a sentence."""
    sizes = sorted({len(r) for of_table in runs for r in of_table})
    seeds = "1 seed" if sizes == [1] else f"{sizes[0]} seeds" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} seeds"
    tiers = ", ".join(sorted({r.tier for t in tables for r in t.rows}))
    return f"{len(tables)} workloads, {seeds} a row on each, tier {tiers}."


_RANKS = "Rows by their mean rank over the workloads, best left. A bar joins rows that Friedman's and Nemenyi's tests do not tell apart."
_PROFILE = "Share of workloads on which a row reaches the target within a multiple of the fastest row's updates; one that never does stays below 1."


def _verdict(labels: Sequence[str], ranks: across_workloads.Ranks) -> str:
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


def _target(table: Table, trials: Trials, references: Sequence[str]) -> float:
    """The validation score to reach: the best of the references', or where there are none that which the middle row reaches."""
    rows = rows_of(table, trials)
    if references:
        return validation.target(rows, references)
    medians = [validation.target(rows, [label]) for label in dict.fromkeys(r.label for r in rows)]
    sound = sorted(m for m in medians if not math.isnan(m))
    return sound[len(sound) // 2] if sound else math.nan


def _time(table: Table, trials: Trials, label: str, goal: float) -> float:
    """Median over seeds of the updates to the target; a seed that misses it, or diverges, counts as inf."""
    times = []
    for r in rows_of(table, trials):
        if r.label == label and r.outcome in ("finished", "diverged"):
            reached = effects.steps_to_target(*validation.curve(r), goal, higher_is_better=validation.higher_is_better(r))
            times.append([reached if r.outcome == "finished" else math.inf])
    return max(across_workloads.time_to_result(times), 1.0) if times else math.inf


def _workload(table: Table, trials: Trials, labels: Sequence[str], times: Floats, goal: float) -> Workload:
    seeds = min(len(_runs(table, trials, label)) for label in labels)
    return Workload(
        table.name, goal, int(np.isfinite(times).sum()), len(labels), seeds, _detectable(table, trials, labels), _shares(table, trials), table
    )


def _detectable(table: Table, trials: Trials, labels: Sequence[str]) -> float:
    """The smallest difference that as many seeds would show, of two rows as this table has them; rows with a divergence are left out."""
    scores = [np.array(list(_scores(table, trials, label).values())) for label in labels]
    whole = [of_row for of_row in scores if len(of_row) > 1 and np.isfinite(of_row).all()]
    if len(whole) < 2:
        return math.nan
    return effects.detectable_difference(float(np.median([of_row.std(ddof=1) for of_row in whole])), min(map(len, whole)))


def _shares(table: Table, trials: Trials) -> tuple[float, float, float]:
    """Of the variance of a single score: training seed, image, rest; averaged over the rows with several seeds, NaN where images have no scores."""
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
