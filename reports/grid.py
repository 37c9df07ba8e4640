"""A table whose rows are a grid of axes: heat maps, main effects and pairwise interactions, and what changing one thing at a time does."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.statistics import effects, intervals
from bench.store.record import TrialRecord
from bench.suites.grid import AND
from reports import aggregate_plots as draw
from reports.table import Cell, Leaderboard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Levels = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A row beside the reference, the first level of every axis; the reference itself has no difference."""

    levels: Levels
    cell: Cell
    difference: intervals.Interval | None


@dataclasses.dataclass(frozen=True)
class GridAnalysis:
    """What the axes of one table do to its ranked column. `note` says which levels the analysis of variance had to leave out, and why."""

    id: str
    title: str
    table: Leaderboard
    axes: tuple[str, ...]
    figures: list[tuple[str, Figure]]
    effects: list[effects.Effect]
    note: str
    ablation: list[Ablation]


def analyse_grid(table: Leaderboard, records: Sequence[TrialRecord], axes: Sequence[str], name: str) -> GridAnalysis | None:
    """The grid of a table, or None where its rows have fewer than two axes with two levels.

    Args:
        table: its leaderboard.
        records: the trials that are its rows.
        axes: the suite's; those that the methods have are in their labels, in this order, after the method where there are several.
        name: of the grid, among the report's.
    """
    mine = [a for a in axes if any(a in r.params for r in records)]
    split = {row.label: tuple(row.label.split(AND)) for row in table.rows}
    wide = max(map(len, split.values()))
    if wide not in (len(mine), len(mine) + 1) or wide < 2 or not mine:
        return None
    names = tuple(mine if wide == len(mine) else ["method", *mine])
    in_order = dict.fromkeys(r.label for r in records)  # the suite's
    ordered = {label: split[label] for label in in_order if len(split.get(label, ())) == wide}
    levels = [list(dict.fromkeys(combination[i] for combination in ordered.values())) for i in range(wide)]
    moving = [i for i in range(wide) if len(levels[i]) > 1]
    if len(moving) < 2:
        return None
    by_levels = {tuple(combination[i] for i in moving): label for label, combination in ordered.items()}
    names, levels = tuple(names[i] for i in moving), [levels[i] for i in moving]
    lines, note = _anova(table, records, names, levels, by_levels)
    return GridAnalysis(
        name, table.name, table, names, _heats(table, names, levels, by_levels), lines, note,
        _ablation(table, levels, by_levels),
    )  # fmt: skip


def _cell(table: Leaderboard, label: str | None) -> Cell:
    """The ranked column's cell; without a value for a row that is not there, or of which a seed diverged."""
    row = next((r for r in table.rows if r.label == label), None)
    if row and row.diverged:
        return Cell(intervals.Interval(math.nan, math.nan, math.nan, 0, "nothing"), "diverged")
    return (row and row.cells.get(table.sort)) or Cell(intervals.Interval(math.nan, math.nan, math.nan, 0, "nothing"))


def _heats(table: Leaderboard, names: Levels, levels: Sequence[list[str]], by_levels: dict[Levels, str]) -> list[tuple[str, Figure]]:
    """The first two axes as rows and columns, a map for each combination of the others; one scale of colour for all."""
    cells = {at: _cell(table, by_levels.get(at)) for at in itertools.product(*levels)}
    column = table.column(table.sort)
    means = sorted((c.value for c in cells.values() if math.isfinite(c.value)), reverse=not column.higher_is_better)
    among = (means[0], means[-1]) if means else (0.0, 0.0)
    figures = []
    for rest in itertools.product(*levels[2:]):
        part = {(a, b): cells[a, b, *rest] for a in levels[0] for b in levels[1]}
        fixed = "".join(f", {axis} {level}" for axis, level in zip(names[2:], rest, strict=True))
        figures.append((f"{column.title}: {names[0]} by {names[1]}{fixed}", draw.heat_map(levels[0], levels[1], part, column, among)))
    return figures


def _anova(
    table: Leaderboard, records: Sequence[TrialRecord], names: Levels, levels: Sequence[list[str]], by_levels: dict[Levels, str]
) -> tuple[list[effects.Effect], str]:
    """The analysis of variance of the largest complete grid: levels with holes are left out one by one, the emptiest first."""
    runs = {(r.label, r.seed): r.final.get(table.sort, math.nan) for r in records if r.outcome == "finished"}
    seeds = sorted({r.seed for r in records if r.role == "row"})
    kept = [list(level) for level in levels]
    shape = (*map(len, levels), len(seeds))
    values = np.array([runs.get((by_levels.get(at, ""), s), math.nan) for at in itertools.product(*levels) for s in seeds]).reshape(shape)
    dropped = []
    while not np.isfinite(values).all():
        at = [(i, j) for i in range(len(levels)) for j in range(len(kept[i]))]
        holes = [(float((~np.isfinite(np.moveaxis(values, i, 0)[j])).mean()), i, j) for i, j in at]
        _, i, j = max(holes, key=lambda h: (h[0], -h[1], -h[2]))
        dropped.append(f"{names[i]} {kept[i].pop(j)}")
        values = np.delete(values, j, axis=i)
        if min(map(len, kept)) < 2:
            return [], f"No analysis of variance: too many cells diverged or are missing ({', '.join(dropped)} among them)."
    note = f"Left out, because cells of theirs diverged or are missing: {', '.join(dropped)}." if dropped else ""
    return effects.anova(values, names), note


def _ablation(table: Leaderboard, levels: Sequence[list[str]], by_levels: dict[Levels, str]) -> list[Ablation]:
    """The reference, then every row that differs from it in one axis, with its paired difference from the reference."""
    reference = tuple(level[0] for level in levels)
    out = [Ablation(reference, _cell(table, by_levels.get(reference)), None)]
    for i, level in enumerate(levels):
        for other in level[1:]:
            at = (*reference[:i], other, *reference[i + 1 :])
            label = by_levels.get(at)
            out.append(Ablation(at, _cell(table, label), _difference(table, label, by_levels.get(reference))))
    return out


def _difference(table: Leaderboard, label: str | None, reference: str | None) -> intervals.Interval | None:
    """Row minus reference, with the interval of the leaderboard's own paired comparison."""
    labels, result = table.comparisons.get(table.sort, ([], None))
    if result is None or label not in labels or reference not in labels:
        return None
    i, j = labels.index(label), labels.index(reference)
    mean, low, high = (float(m[i, j]) for m in (result.difference, result.low, result.high))
    return intervals.Interval(mean, low, high, result.n, result.over)
