r"""What a paper takes from a report: tables to `\input`, figures as PDF, and the check that what is printed is still what is on record."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.statistics.intervals import Interval
from bench.store.record import TrialRecord
from reports import figure_style, latex, plots, wording
from reports.grid import GridAnalysis
from reports.latex import tex_escape, tex_tabular
from reports.overview import group_by_training
from reports.standings import WorkloadComparison
from reports.suite_summary import SuiteSummary
from reports.table import Leaderboard
from reports.trials import NamedFigure, group_by_table, rows_of

_COLUMN = 3.4  # inches of a column of a two-column paper: figures that are narrower keep their size


def texts(tables: Sequence[Leaderboard], summary: SuiteSummary | None) -> dict[str, str]:
    """File name -> LaTeX: the leaderboards, and what is said across them."""
    over_sets = summary.overviews if summary else []
    found = {"leaderboard.tex": latex.to_tex_document([*over_sets, *tables]), "leaderboard_table.tex": latex.to_tex(tables)}
    if over_sets:
        found["overview_table.tex"] = latex.to_tex(over_sets)
    if summary and summary.comparison:
        found["across_table.tex"] = _standings(summary.comparison)
    return found | {f"{grid.id}_table.tex": _grid(grid) for grid in (summary.grids if summary else [])}


def figures(tables: Sequence[Leaderboard], records: Sequence[TrialRecord], summary: SuiteSummary | None) -> dict[str, bytes]:
    r"""File name -> PDF of every figure, and `figures.tex` that sets them all with their captions."""
    style = figure_style.styles(records)
    trials, firsts = group_by_table(records), [group[0] for group in group_by_training(tables)]
    named = summary.named_figures if summary else []
    for i, table in enumerate(tables):
        named += _cost_figures(i, table, style)
        if any(table is first for first in firsts):  # the other test sets judge the same trainings
            named += _validation_figures(i, table, rows_of(table, trials), style)
    lines = [r"% needs graphicx; say \graphicspath{{FOLDER/}} where this folder is another", *map(_figure_float, named)]
    return {"figures.tex": ("\n\n".join(lines) + "\n").encode()} | {f"{d.name}.pdf": figure_style.to_pdf(d.figure) for d in named}


def _cost_figures(i: int, table: Leaderboard, style: Mapping[str, figure_style.Style]) -> Iterator[NamedFigure]:
    """The ranked score against its costs."""
    for cost in table.cost_axes:
        text = f"{table.name}: {table.column(table.sort).title} against {cost.title}; dotted: no competing row is both better and cheaper."
        yield NamedFigure(f"table{i}_{cost.key}", cost.title, text, plots.pareto(table, cost.key, style))


def _validation_figures(
    i: int,
    table: Leaderboard,
    rows: Sequence[TrialRecord],
    style: Mapping[str, figure_style.Style],
) -> Iterator[NamedFigure]:
    """The ranked score over training."""
    pooled = plots.pool_curves(rows)
    if (key := f"validation/{table.sort}") in set(pooled["key"]):
        name = table.suite_table or table.name if table.test_set else table.name
        text = f"{name}: {table.column(table.sort).title} on validation; mean over seeds and their range, a cross where a seed diverged."
        yield NamedFigure(f"table{i}_validation", key, text, plots.curve(pooled, key, "step", style))


def _figure_float(named: NamedFigure) -> str:
    width = r"[width=\linewidth]" if named.figure.get_figwidth() > _COLUMN else ""
    picture = rf"\includegraphics{width}{{{named.name}.pdf}}"
    return "\n".join(
        [r"\begin{figure}[tb]\centering", picture, rf"\caption{{{tex_escape(named.caption)}}}\label{{fig:{named.name}}}", r"\end{figure}"]
    )


def _number(value: float, places: int = 2) -> str:
    return tex_escape(f"{value:.{places}f}".replace("-", "−")) if math.isfinite(value) else "--"


def _number_with_interval(i: Interval | None) -> str:
    if i is None:
        return "--"
    return _number(i.mean) + (rf" {{\scriptsize [{_number(i.low)}, {_number(i.high)}]}}" if math.isfinite(i.low) else "")


def _standings(comparison: WorkloadComparison) -> str:
    head = [
        "row",
        r"IQM $\uparrow$",
        rf"P(beats {tex_escape(comparison.standings[0].label)}) $\uparrow$",
        r"mean rank $\downarrow$",
        r"$B$ $\uparrow$",
    ]
    head.append(rf"speed-up over {tex_escape(comparison.baseline)} $\uparrow$")
    rows = [
        [
            tex_escape(s.label),
            _number_with_interval(s.iqm),
            _number_with_interval(s.improves),
            _number(s.rank),
            _number(s.score),
            f"{_number(s.speed)} ({s.faster})" if s.faster else "--",
        ]
        for s in comparison.standings
    ]
    speed = "In parentheses: the workloads whose target both reached."
    notes = [rf"\par\footnotesize {tex_escape(text)}" for text in (comparison.verdict, comparison.sample, speed)]
    return "\n".join([tex_tabular("l" + "r" * 5, [head], rows), *notes, ""])


def _grid(grid: GridAnalysis) -> str:
    """The ablation table, then the analysis of variance."""
    column = grid.table.column(grid.table.sort)
    head = [*map(tex_escape, grid.axes), tex_escape(column.title) + f" {tex_escape(wording.arrow(column))}", "difference"]
    rows = []
    for a in grid.ablation:
        value = "diverged"
        if a.cell.mark != "diverged":
            value = tex_escape(f"{column.text(a.cell.value)} {wording.bracket(a.cell, column)}".strip())
        d = a.difference
        difference = "--"
        if d and math.isfinite(d.low):
            difference = tex_escape(f"{column.text(d.mean)} [{column.text(d.low)}, {column.text(d.high)}]")
        rows.append([*map(tex_escape, a.levels), value, difference])
    parts = [tex_tabular("l" * len(grid.axes) + "rr", [head], rows)]
    if grid.effects:
        lines = [
            [tex_escape(e.name), str(e.freedom), tex_escape(f"{e.squares:.3g}"), rf"{100 * e.share:.1f}\,\%", _number(e.p, 3)]
            for e in grid.effects
            if e.freedom
        ]
        parts.append(tex_tabular("lrrrr", [["source", "df", "sum of squares", "share", "$p$"]], lines))
    return "\n\n".join(parts + ([rf"\par\footnotesize {tex_escape(grid.note)}"] if grid.note else [])) + "\n"


# -- is what is printed what is on record?
def check(expected: Mapping[str, str], folder: Path) -> str:
    """The first printed cell that differs, as "file: row, column: printed ..., stored ..."; empty where all agree.

    Args:
        expected: file name -> the LaTeX that the store gives now.
        folder: where an earlier report put them; those that are there are checked.

    Raises:
        UsageError: none of them is there, or one cannot be read.
    """
    here = [name for name in expected if (folder / name).is_file()]
    if not here:
        raise UsageError(f"{folder} holds none of {', '.join(expected)}: write them with --latex {folder} first")
    for name in here:
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {folder / name}: {error}") from error
        if complaint := _first_difference(_tabulars(text), _tabulars(expected[name])):
            return f"{folder / name}: {complaint}"
    return ""


def _tabulars(text: str) -> list[list[list[str]]]:
    """Tables -> rows -> cells: what stands between the outer rules of each tabular, white space aside."""
    text = re.sub(r"(?<!\\)%.*", "", text)
    bodies = re.findall(r"\\toprule(.*?)\\bottomrule", text, re.DOTALL)
    rows = [re.split(r"\\\\(?=\s|$)", body.replace(r"\midrule", "")) for body in bodies]
    return [[[" ".join(cell.split()) for cell in re.split(r"(?<!\\)&", row)] for row in table if row.strip()] for table in rows]


def _first_difference(printed: list[list[list[str]]], stored: list[list[list[str]]]) -> str:
    if len(printed) != len(stored):
        return f"{len(printed)} tables printed, {len(stored)} stored"
    for number, (ours, theirs) in enumerate(zip(printed, stored, strict=True), 1):
        where = f"table {number}, " if len(stored) > 1 else ""
        names = [_row_name(row) for row in theirs]
        if missing := [n for n in names if n not in map(_row_name, ours)] or [n for n in map(_row_name, ours) if n not in names]:
            kind = "not printed" if missing[0] in names else "printed, not stored"
            return f"{where}row {missing[0]!r}: {kind}"
        if len(ours) != len(theirs):
            return f"{where}{len(ours)} rows printed, {len(theirs)} stored"
        for row, (cells, right) in enumerate(zip(ours, theirs, strict=True)):
            for i in range(max(len(cells), len(right))):
                a, b = (c[i] if i < len(c) else "nothing" for c in (cells, right))
                if a != b:
                    column = theirs[0][i] if i < len(theirs[0]) else str(i + 1)
                    return f"{where}row {names[row]!r}, column {column!r}: printed {a!r}, stored {b!r}"
    return ""


def _row_name(row: Sequence[str]) -> str:
    """What a row is called: its first cell that is a name rather than a rank."""
    return next((cell for cell in row if cell and not re.fullmatch(r"\d+|--", cell)), "")
