"""The trials behind the tables of a report, and figures of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.store.image_scores import average_over_shared_images
from bench.store.record import TrialRecord
from reports.table import Leaderboard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Trials = Mapping[tuple[str, str], Sequence[TrialRecord]]  # (workload, task) -> its trials


@dataclasses.dataclass(frozen=True)
class NamedFigure:
    """A figure with its name among the report's files, and what it shows."""

    name: str
    title: str
    caption: str
    figure: Figure


def group_by_table(records: Sequence[TrialRecord]) -> Trials:
    """The trials of each table, by its workload and task; scores of rows are means over the images that all rows of the table share."""
    found: dict[tuple[str, str], list[TrialRecord]] = {}
    for r in records:
        found.setdefault((r.workload, r.task), []).append(r)
    return {key: _average_over_shared_images(group) for key, group in found.items()}


def _average_over_shared_images(records: list[TrialRecord]) -> list[TrialRecord]:
    rows: dict[str, list[TrialRecord]] = {}
    for r in records:
        if r.role == "row" and r.outcome == "finished":
            rows.setdefault(r.label, []).append(r)
    shared, _ = average_over_shared_images(list(rows.values()))
    instead = {id(r): other for row, others in zip(rows.values(), shared, strict=True) for r, other in zip(row, others, strict=True)}
    return [instead.get(id(r), r) for r in records]


def rows_of(table: Leaderboard, trials: Trials, role: str = "row") -> list[TrialRecord]:
    """The trials of that role that belong to the table; those that tune or vary its rows may stand under the suite's own name of it."""
    mine = [r for r in trials.get((table.workload, table.task), []) if r.role == role]
    if mine or role == "row" or not table.test_set:
        return mine
    return [r for (workload, _), group in trials.items() if workload == table.suite_table for r in group if r.role == role]
