"""What was tried besides the rows: how a score depends on one setting, and what tuning bought."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.statistics import effects
from bench.store import validation
from reports import aggregate_plots as draw
from reports.figure_style import Style
from reports.table import Leaderboard
from reports.trials import NamedFigure, Trials, rows_of

_SENSITIVITY = (
    "Last validation score against one setting, the others as the row has them: median over seeds with their range as a band; "
    "a cross where seeds diverged, larger for more."
)
_TUNING = (
    "Expected best validation score of n tuning trials, by the order statistics of those on record. One that diverged counts as the worst "
    "that did not, which flatters a row that diverges often: how many did stands beside its name, and beside the cost of tuning in the "
    "leaderboard."
)


def _sensitivities(table: Leaderboard, trials: Trials) -> dict[str, tuple[str, effects.RateSensitivity]]:
    """Label -> what was varied, and how the last validation score depends on it."""
    groups: dict[str, dict[float, list[float]]] = {}
    key, swept = "", [r for r in rows_of(table, trials, "sensitivity") if r.outcome in ("finished", "diverged")]
    up, tolerance = validation.higher_is_better(*swept), _tolerance(validation.card(swept))
    for r in swept:
        ((key, value),) = r.tried.items()
        groups.setdefault(r.label, {}).setdefault(float(value), []).append(validation.final(r, *swept))
    found = {}
    for label, runs in groups.items():
        found[label] = key, effects.sensitivity(list(runs), list(runs.values()), higher_is_better=up, tolerance=tolerance)
    return found


def _tolerance(card: Mapping[str, Any]) -> float | None:
    """What a factor of 1.1 is on a score whose card says that it is a logarithm; None where it says no such thing."""
    decades = math.log10(effects.NEAR)
    return decades if card.get("protocol", {}).get("log10") is True else 10 * decades if card.get("unit") == "dB" else None


def sensitivity_figures(tables: Sequence[Leaderboard], trials: Trials, style: Mapping[str, Style]) -> list[NamedFigure]:
    """A figure for each table of which a setting was varied."""
    out = []
    for i, table in enumerate(tables):
        if found := _sensitivities(table, trials):
            key = next(iter(found.values()))[0]
            figure = draw.sensitivity({label: s for label, (_, s) in found.items()}, table.column(table.sort), style, key)
            out.append(NamedFigure(f"sensitivity{i}", f"{table.name}: sensitivity", _SENSITIVITY, figure))
    return out


def sensitivity_widths(tables: Sequence[Leaderboard], trials: Trials) -> list[tuple[str, str, float, float]]:
    """Workload, row, width in decades of the settings that do nearly as well as the best, share of runs that diverged."""
    return [(t.name, label, s.width, s.share_diverged) for t in tables for label, (_, s) in _sensitivities(t, trials).items()]


def tuning_figures(tables: Sequence[Leaderboard], trials: Trials, style: Mapping[str, Style]) -> list[NamedFigure]:
    """A figure for each table whose rows were tuned."""
    out = []
    for i, table in enumerate(tables):
        groups: dict[str, list[float]] = {}
        tried = [r for r in rows_of(table, trials, "tuning") if r.outcome in ("finished", "diverged")]
        for r in tried:
            groups.setdefault(r.label, []).append(validation.final(r, *tried))
        if tried:
            up = validation.higher_is_better(*tried)
            curves = {label: effects.best_of(values, higher_is_better=up) for label, values in groups.items()}
            lost = collections.Counter(r.label for r in tried if r.outcome == "diverged")
            notes = {label: f" ({n} of {len(groups[label])} diverged)" for label, n in lost.items()}
            out.append(
                NamedFigure(
                    f"tuning{i}",
                    f"{table.name}: tuning",
                    _TUNING,
                    draw.expected_best(curves, table.column(table.sort), style, notes),
                )
            )
    return out
