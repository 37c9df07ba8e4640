"""What was tried besides the rows: how a score depends on one setting, and what tuning bought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.statistics import effects
from bench.store import validation
from reports import aggregate_plots as draw
from reports.plots import Style
from reports.table import Table
from reports.trials import Drawn, Trials, rows_of

_SWEPT = "Last validation score against one setting, the others as the row has them: median over seeds, their range; a cross where seeds diverged."
_TUNED = (
    "Expected best validation score of n tuning trials, by the order statistics of those on record. One that diverged counts as the worst that "
    "did not, which flatters a row that diverges often: how many did stands beside its name, and beside the cost of tuning in the leaderboard."
)


def _sensitivities(table: Table, trials: Trials) -> dict[str, tuple[str, effects.RateSensitivity]]:
    """Label -> what was varied, and how the last validation score depends on it."""
    groups: dict[str, dict[float, list[float]]] = {}
    key, swept = "", [r for r in rows_of(table, trials, "sensitivity") if r.outcome in ("finished", "diverged")]
    up, tolerance = validation.higher_is_better(*swept), _tolerance(validation.card(swept))
    for r in swept:
        ((key, value),) = r.tried.items()
        groups.setdefault(r.label, {}).setdefault(float(value), []).append(validation.final(r, *swept))
    return {
        label: (key, effects.sensitivity(list(runs), list(runs.values()), higher_is_better=up, tolerance=tolerance)) for label, runs in groups.items()
    }


def _tolerance(card: Mapping[str, Any]) -> float | None:
    """What a factor of 1.1 is on a score whose card says that it is a logarithm; None where it says no such thing."""
    decades = math.log10(effects.NEAR)
    return decades if card.get("protocol", {}).get("log10") is True else 10 * decades if card.get("unit") == "dB" else None


def swept(tables: Sequence[Table], trials: Trials, style: Mapping[str, Style]) -> list[Drawn]:
    """A figure for each table of which a setting was varied."""
    out = []
    for i, table in enumerate(tables):
        if found := _sensitivities(table, trials):
            key = next(iter(found.values()))[0]
            figure = draw.sensitivity({label: s for label, (_, s) in found.items()}, table.column(table.sort), style, key)
            out.append(Drawn(f"sensitivity{i}", f"{table.name}: sensitivity", _SWEPT, figure))
    return out


def widths(tables: Sequence[Table], trials: Trials) -> list[tuple[str, str, float, float]]:
    """Workload, row, width in decades of the settings that do nearly as well as the best, share of runs that diverged."""
    return [(t.name, label, s.width, s.share_diverged) for t in tables for label, (_, s) in _sensitivities(t, trials).items()]


def tuned(tables: Sequence[Table], trials: Trials, style: Mapping[str, Style]) -> list[Drawn]:
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
            lost = {label: (sum(r.label == label and r.outcome == "diverged" for r in tried), len(values)) for label, values in groups.items()}
            notes = {label: f" ({k} of {n} diverged)" for label, (k, n) in lost.items() if k}
            out.append(Drawn(f"tuning{i}", f"{table.name}: tuning", _TUNED, draw.best_of(curves, table.column(table.sort), style, notes)))
    return out
