"""One self-contained page: everything inline, nothing fetched, every name escaped. The content security policy forbids any request."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.store.record import TrialRecord
from reports import export, gallery, plots
from reports.across import Across
from reports.published import PublishedTable
from reports.table import Table, title_of
from reports.trials import by_table

_NAMED = 3  # rows that a sentence names; of more it gives the number
BOXES = ("#ffd23f", "#5ad1ff", "#ff8a5b", "#7df0b0", "#ff9fd6", "#c9b8ff", "#ffffff")  # of detections: bright, for they lie on photographs


@dataclasses.dataclass(frozen=True)
class _Chart:
    """A figure drawn against each of its axes: axis -> inline SVG."""

    title: str
    svg: dict[str, str]


@dataclasses.dataclass(frozen=True)
class _Beside:
    """A published row beside the measured one. `measured` maps a column to its text; `verdict` says whether the protocols match."""

    name: str
    evidence: str
    published: dict[str, str]
    measured: dict[str, str]
    verdict: str


@dataclasses.dataclass(frozen=True)
class _Section:
    """What the page shows of one task."""

    id: str
    table: Table
    leader: str
    against: list[tuple[str, str, str, str]]  # label, difference to the leader, its interval, p
    whiskers: dict[str, tuple[float, float, float]]  # label -> low, mean, high of the ranked column in per cent of its range
    trained: list[dict[str, Any]]
    paretos: list[_Chart]
    curves: list[_Chart]
    strips: list[gallery.Strip]
    strips_left_out: int
    published: list[tuple[PublishedTable, list[_Beside]]]


def page(
    tables: Sequence[Table], records: Sequence[TrialRecord], *, title: str, published: Sequence[PublishedTable] = (), across: Across | None = None
) -> str:
    """The report.

    Args:
        tables: one leaderboard a workload or task.
        records: all trials behind them.
        title: its heading.
        published: the papers' numbers; a paper's table stands beside each task that measures one of its columns.
        across: what is said across the tables, if anything.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"plain": export.plain, "json": lambda v: json.dumps(v, ensure_ascii=False, default=str), "number": _number}
    environment.globals |= {"arrow": export.arrow, "bracket": export.bracket, "over": export.over, "AXES": plots.AXES}
    environment.globals |= {"title_of": title_of, "LEGEND": export.LEGEND, "svg": plots.to_svg, "finite": math.isfinite}
    script = environment.get_template("script.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = plots.styles(records)
    records = [r for r in records if r.role == "row"]
    found = by_table(records)
    trials = [list(found.get((table.workload, table.task), [])) for table in tables]
    sections = [_section(i, table, group, style, published) for i, (table, group) in enumerate(zip(tables, trials, strict=True))]
    return environment.get_template("index.html.j2").render(
        title=export.plain(title), across=across, sections=sections, script=script, digest=digest, environments=_environments(records),
        outcomes={o: sum(r.outcome == o for r in records) for o in ("finished", "diverged", "failed", "skipped")},
        tiers=sorted({r.tier for r in records}), specs=[r for t in tables for r in t.rows],
        styles=style, palette=plots.PALETTE, colors=BOXES,
    )  # fmt: skip


def _section(i: int, table: Table, records: list[TrialRecord], style: Mapping[str, plots.Style], published: Sequence[PublishedTable]) -> _Section:
    pooled = plots.pool_curves(records)
    keys = sorted(pooled["key"].unique(), key=lambda k: (not k.startswith("validation/"), k != f"validation/{table.sort}", k))

    def chart(n: int, key: str) -> _Chart:
        return _Chart(key, {x: plots.to_svg(plots.curve(pooled, key, x, style), f"{i}-{n}-{x}") for x in plots.AXES})

    paretos = [_Chart(c.title, {"": plots.to_svg(plots.pareto(table, c.key, style), f"{i}-{c.key}")}) for c in table.prices]
    strips, left_out = gallery.strips(records, [r.label for r in table.rows])
    beside = [(p, _beside(p, table, records)) for p in published if p.units.keys() & {c.key for c in table.scores}]
    return _Section(
        f"task{i}", table, _leader(table), _against(table), _whiskers(table), _trained(table, records),
        paretos, [chart(n, k) for n, k in enumerate(keys)], strips, left_out, beside,
    )  # fmt: skip


def _leader(table: Table) -> str:
    """One sentence: who leads, by what, and from whom that cannot be told apart."""
    if (row := table.leader) is None or table.sort not in row.cells:
        return "No trial finished."
    column, cell = table.column(table.sort), row.cells[table.sort]
    number = " ".join(filter(None, [column.text(cell.value), column.unit, export.bracket(cell, column)]))
    seeds = f"{len(row.seeds)} seed{'s' * (len(row.seeds) != 1)}"
    of_weights = ", which is about these weights: one training seed says nothing of another" if table.of_weights else ""
    rivals = {r.label for r in table.rows if r.competes} & set(table.undecided(row.label))
    if rivals:
        told = f"{len(rivals)} others" if len(rivals) > _NAMED else " or ".join(sorted(map(export.plain, rivals)))
        verdict = f"No test tells it from {told}."
    elif table.comparisons.get(table.sort) and not table.comparisons[table.sort][1].reason:
        verdict = f"It is better than every other competing row by a test{of_weights}."
    else:
        verdict = "No test was possible, so this is an order of means."
    where = f"{export.plain(table.workload)}: " if table.workload else ""
    return f"{where}{export.plain(row.label)} leads on {column.title}: {number}, {seeds}. {verdict}"


def _against(table: Table) -> list[tuple[str, str, str, str]]:
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


def _whiskers(table: Table) -> dict[str, tuple[float, float, float]]:
    cells = {r.label: r.cells[table.sort].interval for r in table.rows if table.sort in r.cells}
    ends = [v for i in cells.values() for v in (i.low, i.mean, i.high) if math.isfinite(v)]
    if not ends or max(ends) == min(ends):
        return {}
    low, span = min(ends), max(ends) - min(ends)
    triples = {label: (i.low if math.isfinite(i.low) else i.mean, i.mean, i.high if math.isfinite(i.high) else i.mean) for label, i in cells.items()}
    return {k: tuple(round(100 * (v - low) / span, 1) for v in t) for k, t in triples.items() if math.isfinite(t[1])}  # type: ignore[misc]


def _trained(table: Table, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
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


def _beside(published: PublishedTable, table: Table, records: Sequence[TrialRecord]) -> list[_Beside]:
    rows = {r.label: r for r in table.rows}
    out = []
    for row in published.rows:
        texts = {key: str(value) for key, value in row.values.items()}
        measured = rows.get(row.label)
        found = {k: table.column(k).text(measured.value(k)) for k in row.values if measured and k in measured.cells}
        verdict = _protocol(published, [r for r in records if r.label == row.label]) if found else ""
        out.append(_Beside(row.name, published.evidence_of(row), texts, found, verdict))
    return out


def _protocol(published: PublishedTable, trials: Sequence[TrialRecord]) -> str:
    """Whether a measured label followed the published protocol, and where it did not."""
    said: dict[str, str] = {}
    for r in trials:
        for source in (r.tags, r.params, r.facts, *(card["protocol"] for card in r.cards.values())):
            said |= {k: str(v) for k, v in source.items()}
    if not published.same_if:
        return "another protocol"
    wrong = [f"{k} is {said.get(k, 'not stated')}, not {v}" for k, v in published.same_if.items() if said.get(k) != v]
    return "another protocol: " + ", ".join(wrong) if wrong else "same protocol"


def _environments(records: Sequence[TrialRecord]) -> list[tuple[dict[str, str], list[str]]]:
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
