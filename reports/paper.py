r"""What a paper takes from a report: tables to `\input`, figures as PDF, and the check that what is printed is still what is on record."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.statistics.intervals import Interval
from bench.store.record import TrialRecord
from reports import export, plots
from reports.across import Across
from reports.export import tex_escape, tex_tabular
from reports.grid import Grid
from reports.table import Table
from reports.trials import Drawn, by_table, rows_of

_COLUMN = 3.4  # inches of a column of a two-column paper: figures that are narrower keep their size


def texts(tables: Sequence[Table], across: Across | None) -> dict[str, str]:
    """File name -> LaTeX: the leaderboards, and what is said across them."""
    found = {"leaderboard.tex": export.to_tex_document(tables), "leaderboard_table.tex": export.to_tex(tables)}
    if across and across.standings:
        found["across_table.tex"] = _standings(across)
    return found | {f"{grid.id}_table.tex": _grid(grid) for grid in (across.grids if across else [])}


def figures(tables: Sequence[Table], records: Sequence[TrialRecord], across: Across | None) -> dict[str, bytes]:
    r"""File name -> PDF of every figure, and `figures.tex` that sets them all with their captions."""
    style = plots.styles(records)
    drawn = [*(across.drawn if across else []), *(d for i, t in enumerate(tables) for d in _of_table(i, t, records, style))]
    lines = [r"% needs graphicx; say \graphicspath{{FOLDER/}} where this folder is another", *map(_float, drawn)]
    return {"figures.tex": ("\n\n".join(lines) + "\n").encode()} | {f"{d.name}.pdf": plots.to_pdf(d.figure) for d in drawn}


def _of_table(i: int, table: Table, records: Sequence[TrialRecord], style: Mapping[str, plots.Style]) -> Iterator[Drawn]:
    """The ranked score against its costs, and over training."""
    rows, name = rows_of(table, by_table(records)), table.name
    for cost in table.cost_axes:
        text = f"{name}: {table.column(table.sort).title} against {cost.title}; dotted: no competing row is both better and cheaper."
        yield Drawn(f"table{i}_{cost.key}", cost.title, text, plots.pareto(table, cost.key, style))
    pooled = plots.pool_curves(rows)
    if (key := f"validation/{table.sort}") in set(pooled["key"]):
        text = f"{name}: {table.column(table.sort).title} on validation; mean over seeds and their range, a cross where a seed diverged."
        yield Drawn(f"table{i}_validation", key, text, plots.curve(pooled, key, "step", style))


def _float(drawn: Drawn) -> str:
    width = r"[width=\linewidth]" if drawn.figure.get_figwidth() > _COLUMN else ""
    picture = rf"\includegraphics{width}{{{drawn.name}.pdf}}"
    return "\n".join(
        [r"\begin{figure}[tb]\centering", picture, rf"\caption{{{tex_escape(drawn.caption)}}}\label{{fig:{drawn.name}}}", r"\end{figure}"]
    )


def _number(value: float, places: int = 2) -> str:
    return tex_escape(f"{value:.{places}f}".replace("-", "−")) if math.isfinite(value) else "--"


def _with_interval(i: Interval | None) -> str:
    if i is None:
        return "--"
    return _number(i.mean) + (rf" {{\scriptsize [{_number(i.low)}, {_number(i.high)}]}}" if math.isfinite(i.low) else "")


def _standings(across: Across) -> str:
    head = ["row", r"IQM $\uparrow$", rf"P(beats {tex_escape(across.standings[0].label)}) $\uparrow$", r"mean rank $\downarrow$", r"$B$ $\uparrow$"]
    head.append(rf"speed-up over {tex_escape(across.baseline)} $\uparrow$")
    rows = [
        [
            tex_escape(s.label),
            _with_interval(s.iqm),
            _with_interval(s.improves),
            _number(s.rank),
            _number(s.score),
            f"{_number(s.speed)} ({s.faster})" if s.faster else "--",
        ]
        for s in across.standings
    ]
    speed = "In parentheses: the workloads whose target both reached."
    notes = [rf"\par\footnotesize {tex_escape(text)}" for text in (across.verdict, across.sample, speed)]
    return "\n".join([tex_tabular("l" + "r" * 5, [head], rows), *notes, ""])


def _grid(grid: Grid) -> str:
    """The ablation table, then the analysis of variance."""
    column = grid.table.column(grid.table.sort)
    head = [*map(tex_escape, grid.axes), tex_escape(column.title) + f" {tex_escape(export.arrow(column))}", "difference"]
    rows = []
    for a in grid.ablation:
        value = "diverged" if a.cell.mark == "diverged" else tex_escape(f"{column.text(a.cell.value)} {export.bracket(a.cell, column)}".strip())
        d = a.difference
        difference = tex_escape(f"{column.text(d.mean)} [{column.text(d.low)}, {column.text(d.high)}]") if d and math.isfinite(d.low) else "--"
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
        names = [_named(row) for row in theirs]
        if missing := [n for n in names if n not in map(_named, ours)] or [n for n in map(_named, ours) if n not in names]:
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


def _named(row: Sequence[str]) -> str:
    """What a row is called: its first cell that is a name rather than a rank."""
    return next((cell for cell in row if cell and not re.fullmatch(r"\d+|--", cell)), "")
