"""What a report says across the tables of one suite: who is ahead on the whole, what tuning bought, what gradients and axes do.

Rows mean the same in every table where they carry the same label. One entry point, `summarise`; it is None where there is nothing to say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.store.record import TrialRecord
from reports.figure_style import Style
from reports.gradient_noise import NoiseSummary, summarise_noise
from reports.grid import GridAnalysis, analyse_grid
from reports.overview import group_by_training, overviews
from reports.standings import WorkloadComparison, compare_over_workloads
from reports.table import Leaderboard
from reports.trials import NamedFigure, group_by_table, rows_of
from reports.tuning_and_sensitivity import sensitivity_figures, sensitivity_widths, tuning_figures

if TYPE_CHECKING:
    from bench.suites.schema import Suite


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteSummary:
    """What stands above the single tables. Lists are empty, and the comparison None, where they do not apply.

    Attributes:
        comparison: the rows over all workloads.
        overviews: of trainings that were judged on several test sets, the means over them.
        figures: of the comparison, then of sensitivity and tuning.
        widths: (workload, row, width in decades of the settings that do nearly as well as the best, share of runs that diverged).
        noise: of workloads whose loss is a mean over examples.
        grids: of tables whose rows are a grid of axes.
    """

    comparison: WorkloadComparison | None
    overviews: list[Leaderboard]
    figures: list[NamedFigure]
    widths: list[tuple[str, str, float, float]]
    noise: list[NoiseSummary]
    grids: list[GridAnalysis]

    @property
    def named_figures(self) -> list[NamedFigure]:
        """Every figure, those of the grids too."""
        figures = list(self.figures)
        for grid in self.grids:
            figures += [NamedFigure(f"{grid.id}_{i}", grid.title, text, figure) for i, (text, figure) in enumerate(grid.figures)]
        return figures


def summarise(
    tables: Sequence[Leaderboard], records: Sequence[TrialRecord], style: Mapping[str, Style], suite: Suite | None = None
) -> SuiteSummary | None:
    """What can be said across tables, or None: one table, no axes, nothing tuned, no gradients measured.

    What concerns trainings is said once, from the first of their test sets.

    Args:
        tables: the leaderboards of one suite.
        records: every trial behind them; those whose role is "tuning" or "sensitivity" make the curves of those names.
        style: how the labels look.
        suite: its axes and references.
    """
    tables, trials = [t for t in tables if t.rows and t.columns], group_by_table(records)
    axes = {**suite.axes, **{k: v for w in suite.workloads for k, v in w.axes.items()}} if suite else {}
    firsts = [group[0] for group in group_by_training(tables)]
    comparison = compare_over_workloads(firsts, trials, style, list(suite.references) if suite else [])
    found = SuiteSummary(
        comparison=comparison,
        overviews=overviews(tables, records),
        figures=[
            *(comparison.figures if comparison else []),
            *sensitivity_figures(firsts, trials, style),
            *tuning_figures(firsts, trials, style),
        ],
        widths=sensitivity_widths(firsts, trials),
        noise=[noise for t in firsts if (noise := summarise_noise(t, rows_of(t, trials)))],
        grids=[g for i, t in enumerate(tables) if (g := analyse_grid(t, rows_of(t, trials), list(axes), f"grid{i}"))],
    )
    return found if any((found.comparison, found.overviews, found.grids, found.figures, found.noise)) else None
