"""One self-contained page: everything inline, nothing fetched, every name escaped. The content security policy forbids any request."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.store.record import TrialRecord
from reports import figure_style, gallery, plots, wording
from reports.board import Board, board_of
from reports.overview import group_by_training
from reports.published import PublishedComparison, PublishedTable, compare_with_published, concerns, published_title
from reports.suite_summary import SuiteSummary
from reports.table import Leaderboard
from reports.trials import Trials, group_by_table, rows_of

if TYPE_CHECKING:
    import jinja2

BOXES = ("#ffd23f", "#5ad1ff", "#ff8a5b", "#7df0b0", "#ff9fd6", "#c9b8ff", "#ffffff")  # of detections: bright, for they lie on photographs


@dataclasses.dataclass(frozen=True)
class _Chart:
    """A figure drawn against each of its axes: axis -> inline SVG."""

    title: str
    svg: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _TableSection:
    """What the page shows of one table.

    Attributes:
        board: the leaderboard.
        last_against_best: a row of the table of that name for each training.
        paretos: the ranked score against its costs.
        curves: of training; none where `curves_under` has them, the board of another test set of the same trainings.
        strips: pictures; `strips_left_out` are those beyond the page's budget.
        published: papers' tables, each row beside the measured one.
    """

    board: Board
    last_against_best: list[dict[str, Any]]
    paretos: list[_Chart]
    curves: list[_Chart]
    curves_under: Board | None
    strips: list[gallery.Strip]
    strips_left_out: int
    published: list[tuple[PublishedTable, list[PublishedComparison]]]


def page(
    tables: Sequence[Leaderboard],
    records: Sequence[TrialRecord],
    *,
    title: str,
    published: Sequence[PublishedTable] = (),
    summary: SuiteSummary | None = None,
) -> str:
    """The report.

    Args:
        tables: one leaderboard a workload or task.
        records: all trials behind them.
        title: its heading.
        published: the papers' numbers; a paper's table stands beside each task that measures one of its columns.
        summary: what is said across the tables, if anything.
    """
    style = figure_style.styles(records)
    records = [r for r in records if r.role == "row"]
    environment = _environment()
    script = environment.get_template("script.js.j2").render()
    return environment.get_template("index.html.j2").render(
        title=wording.to_plain_line(title),
        summary=summary,
        overviews=[board_of(f"overview{i}", table) for i, table in enumerate(summary.overviews if summary else [])],
        sections=_sections(tables, records, style, published),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        environments=_group_by_environment(records),
        outcomes={o: sum(r.outcome == o for r in records) for o in ("finished", "diverged", "failed", "skipped")},
        tiers=sorted({r.tier for r in records}),
        specs=list({(r.label, r.spec, r.tier, r.seeds): r for t in tables for r in t.rows}.values()),
        styles=style,
        palette=figure_style.PALETTE,
        colors=BOXES,
    )


@functools.cache
def _environment() -> jinja2.Environment:
    """The templates, with every name escaped, and the functions that they call."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    found.filters |= {"plain": wording.to_plain_line, "json": lambda v: json.dumps(v, ensure_ascii=False, default=str), "number": _number}
    found.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    found.globals |= {"arrow": wording.arrow, "bracket": wording.bracket, "interval_basis": wording.interval_basis, "AXES": plots.AXES}
    found.globals |= {"title_of": published_title, "LEGEND": wording.LEGEND, "svg": figure_style.to_svg, "finite": math.isfinite}
    return found


def _sections(
    tables: Sequence[Leaderboard],
    records: Sequence[TrialRecord],
    style: Mapping[str, figure_style.Style],
    published: Sequence[PublishedTable],
) -> list[_TableSection]:
    """One a table; curves of trainings stand under the first of their test sets."""
    trials = group_by_table(records)
    boards = {id(table): board_of(f"task{i}", table) for i, table in enumerate(tables)}
    firsts = {id(table): group[0] for group in group_by_training(tables) for table in group}
    trainings = {id(group[0]): _distinct_trainings(group, trials) for group in group_by_training(tables)}
    sections = []
    for table in tables:
        rows, first, board = rows_of(table, trials), firsts[id(table)], boards[id(table)]
        strips, left_out = gallery.strips(rows, [r.label for r in table.rows])
        sections.append(
            _TableSection(
                board=board,
                last_against_best=_last_against_best(table, rows),
                paretos=_paretos(board, style),
                curves=_curves(board, trainings[id(table)], style) if table is first else [],
                curves_under=boards[id(first)] if table is not first else None,
                strips=strips,
                strips_left_out=left_out,
                published=[(p, compare_with_published(p, table, rows)) for p in published if concerns(p, table)],
            )
        )
    return sections


def _distinct_trainings(tables: Sequence[Leaderboard], trials: Trials) -> list[TrialRecord]:
    """One trial for every training that these tables judge."""
    return list({(r.label, r.seed): r for table in reversed(tables) for r in rows_of(table, trials)}.values())


def _paretos(board: Board, style: Mapping[str, figure_style.Style]) -> list[_Chart]:
    """The ranked score against its costs."""
    table = board.table
    figures = [(c, plots.pareto(table, c.key, style)) for c in table.cost_axes]
    return [_Chart(c.title, {"": figure_style.to_svg(figure, f"{board.id}-{c.key}")}) for c, figure in figures]


def _curves(board: Board, records: Sequence[TrialRecord], style: Mapping[str, figure_style.Style]) -> list[_Chart]:
    """The curves of training against every axis; validation first, and of that the ranked score."""
    pooled, ranked = plots.pool_curves(records), f"validation/{board.table.sort}"
    keys = sorted(pooled["key"].unique(), key=lambda k: (not k.startswith("validation/"), k != ranked, k))
    return [
        _Chart(key, {x: figure_style.to_svg(plots.curve(pooled, key, x, style), f"{board.id}-{n}-{x}") for x in plots.AXES})
        for n, key in enumerate(keys)
    ]


def _last_against_best(table: Leaderboard, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Final against best weights of every trained trial, on the ranked column."""
    column = table.column(table.sort) if table.columns else None
    if column is None:
        return []
    done = [r for r in records if r.outcome == "finished" and r.best]
    return [
        {"label": r.label, "seed": r.seed, "final": column.text(r.final.get(table.sort, float("nan"))),
         "best": column.text(r.best.get(table.sort, float("nan"))), "best_step": r.summary.get("best_step"),
         "collapse_step": r.summary.get("collapse_step"), "auc": column.text(r.summary.get("auc", float("nan")))}
        for r in done
    ]  # fmt: skip


def _group_by_environment(records: Sequence[TrialRecord]) -> list[tuple[dict[str, str], list[str]]]:
    """Each distinct environment with the labels that ran in it."""
    found: dict[str, tuple[dict[str, str], list[str]]] = {}
    for r in records:
        if r.environment:
            _, labels = found.setdefault(json.dumps(r.environment, sort_keys=True, default=str), (r.environment, []))
            if r.label not in labels:
                labels.append(r.label)
    return list(found.values())


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:,.0f}".replace(",", " ")
