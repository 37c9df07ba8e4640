"""A leaderboard as a page shows it: who leads and by how much, every row against the leader, intervals side by side."""

from __future__ import annotations

import dataclasses
import math

from reports import wording
from reports.table import Leaderboard

_NAMED = 3  # rows that a sentence names; of more it gives the number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A leaderboard with what the page says of its ranked column.

    Attributes:
        id: its anchor.
        table: the leaderboard.
        headline: who leads, in a sentence.
        differences: (label, difference to the leader, its interval, p) of every row that was tested.
        whiskers: label -> low, mean and high in per cent of the column's range.
    """

    id: str
    table: Leaderboard
    headline: str
    differences: list[tuple[str, str, str, str]]
    whiskers: dict[str, tuple[float, float, float]]


def board_of(name: str, table: Leaderboard) -> Board:
    """A leaderboard as the page shows it; `name` is its anchor."""
    return Board(id=name, table=table, headline=_headline(table), differences=_differences_to_leader(table), whiskers=_whiskers(table))


def _headline(table: Leaderboard) -> str:
    """One sentence: who leads, by what, and from whom that cannot be told apart."""
    if (row := table.leader) is None or table.sort not in row.cells:
        return "No row has this score on every test set." if table.overview_of else "No trial finished."
    column, cell = table.column(table.sort), row.cells[table.sort]
    number = " ".join(filter(None, [column.text(cell.value), column.unit, wording.bracket(cell, column)]))
    seeds = f"{len(row.seeds)} seed{'s' * (len(row.seeds) != 1)}"
    single_seed = ", which is about these weights: one training seed says nothing of another" if table.single_seed else ""
    rivals = {r.label for r in table.rows if r.competes} & set(table.ties_of(row.label))
    if rivals:
        told = f"{len(rivals)} others" if len(rivals) > _NAMED else " or ".join(sorted(map(wording.to_plain_line, rivals)))
        verdict = f"No test tells it from {told}."
    elif table.comparisons.get(table.sort) and not table.comparisons[table.sort][1].reason:
        verdict = f"It is better than every other competing row by a test{single_seed}."
    else:
        verdict = "No test was possible, so this is an order of means."
    where = f"{wording.to_plain_line(table.name)}: " if table.workload or table.overview_of else ""
    return f"{where}{wording.to_plain_line(row.label)} leads on {column.title}: {number}, {seeds}. {verdict}"


def _differences_to_leader(table: Leaderboard) -> list[tuple[str, str, str, str]]:
    """Every tested row against the leader on the ranked column."""
    labels, result = table.comparisons.get(table.sort, ([], None))
    if result is None or result.reason or table.leader is None or table.leader.label not in labels:
        return []
    column, j = table.column(table.sort), labels.index(table.leader.label)
    out = []
    for i, label in enumerate(labels):
        if i != j:
            difference, low, high = (column.text(m[i, j]) for m in (result.difference, result.low, result.high))
            out.append((label, difference, f"[{low}, {high}]", "< 0.001" if result.p[i, j] < 0.001 else f"{result.p[i, j]:.3f}"))
    return out


def _whiskers(table: Leaderboard) -> dict[str, tuple[float, float, float]]:
    """Label -> low, mean and high of the ranked column in per cent of its range; empty where that is a point."""
    cells = {r.label: r.cells[table.sort].interval for r in table.rows if table.sort in r.cells}
    ends = [v for i in cells.values() for v in (i.low, i.mean, i.high) if math.isfinite(v)]
    if not ends or max(ends) == min(ends):
        return {}
    low, span = min(ends), max(ends) - min(ends)

    def place(value: float, mean: float) -> float:
        return round(100 * ((value if math.isfinite(value) else mean) - low) / span, 1)

    known = {label: i for label, i in cells.items() if math.isfinite(i.mean)}
    return {label: (place(i.low, i.mean), place(i.mean, i.mean), place(i.high, i.mean)) for label, i in known.items()}
