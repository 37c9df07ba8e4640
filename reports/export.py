"""A leaderboard as CSV, Markdown, JSON, LaTeX and a table for the terminal. Each function returns text; nothing is written here."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.store.record import TrialRecord
from bench.store.stored import strict
from bench.text import inert
from reports.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

LEGEND = (
    "Bold: better than every other row that competes, by the tests; underlined: better than all but that one. Brackets: 95 % interval over n, "
    "images with a correction for skewness and training seeds. Rows that share a letter cannot be told apart, nor can rows that share a rank "
    "(t-tests whose error has the same two parts; Holm)."
)
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": r"{-}", "−": "$-$", "–": "--", "∞": r"$\infty$",
    "≥": r"$\geq$", "≤": r"$\leq$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip


def plain(text: str) -> str:
    """One printable line: white space becomes a space, control characters their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))


def arrow(column: Column) -> str:
    """Which way is better."""
    return "↑" if column.higher_is_better else "↓"


def bracket(cell: Cell, column: Column) -> str:
    """The interval as "[low, high]", empty where there is none."""
    low, high = column.text(cell.interval.low), column.text(cell.interval.high)
    return "" if low == "–" else f"[{low}, {high}]"


def over(row: Row, table: Table) -> str:
    """What the interval of the ranked column is over: "3 seeds", "12 images", "11 groups and 3 seeds"; "1 seed" where there is none."""
    if not (cell := row.cells.get(table.sort)):
        return "–"
    i, seeds = cell.interval, f"{len(row.seeds)} seed{'s' * (len(row.seeds) != 1)}"
    if i.over in ("images", "groups"):
        images = f"{i.n} {i.over}"
        return f"{images} and {seeds}" if len(row.seeds) > 1 else images
    return f"samples of {seeds}" if i.over == "samples" else seeds


def tier(table: Table) -> str:
    """The tier of the rows as a sentence."""
    return f"Tier {', '.join(sorted({plain(r.tier) for r in table.rows}))}." if table.rows else ""


def to_csv(tables: Sequence[Table]) -> str:
    """One line a label in full precision, then one a trial that did not finish, and one a remark that concerns no single row."""
    rows = [flat for table in tables for flat in [*_flat(table), *_remarks(table)]]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: inert(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _flat(table: Table) -> list[dict[str, Any]]:
    rows = []
    for row in table.rows:
        flat: dict[str, Any] = {
            **_place(table),
            "rank": row.rank,
            "label": row.label,
            "outcome": "diverged" if row.diverged else "finished",
            "reason": ", ".join(filter(None, [row.note, *(table.footnotes[n] for n in row.notes)])),
        }
        flat |= {"tier": row.tier, "seeds": " ".join(map(str, row.seeds)), "spec": row.spec}
        for column in table.columns:
            if cell := row.cells.get(column.key):
                flat[column.key] = cell.value
                if column.card:
                    i = cell.interval
                    parts = {"low": i.low, "high": i.high, "n": i.n, "over": i.over, "mark": cell.mark, "tie": cell.tie}
                    flat |= {f"{column.key}_{k}": v for k, v in parts.items()}
        rows.append(flat)
    for r in table.unfinished:
        rows.append({**_place(table), "label": r.label, "outcome": r.outcome, "reason": r.reason, "tier": r.tier, "seeds": r.seed, "spec": r.spec})
    return rows


def _remarks(table: Table) -> list[dict[str, Any]]:
    borne = {n for row in table.rows for n in row.notes}
    return [{**_place(table), "outcome": "remark", "reason": note} for n, note in enumerate(table.footnotes) if n not in borne]


def _place(table: Table) -> dict[str, str]:
    return ({"workload": table.workload} if table.workload else {}) | {"task": table.task}


def _heading(table: Table) -> str:
    return f"{table.name}: {table.task}" if table.workload else table.task


def to_json(tables: Sequence[Table], records: Sequence[TrialRecord], title: str) -> str:
    """Tables and trials (their scalars) as strict JSON."""
    trials = [r.head() for r in records]
    rows = [flat for table in tables for flat in _flat(table)]
    footnotes = {table.workload or table.task: table.footnotes for table in tables}
    return json.dumps(strict({"title": title, "leaderboard": rows, "footnotes": footnotes, "trials": trials}), indent=1, ensure_ascii=False) + "\n"


def to_markdown(tables: Sequence[Table], title: str) -> str:
    """A heading and a pipe table a task, with footnotes and the trials that did not finish."""
    out = [f"# {_md(title)}", ""]
    for table in tables:
        head = ["#", "method", *(_md(f"{c.title} {arrow(c)}{f' {c.unit}' if c.unit else ''}") for c in table.columns), "n", "seeds"]
        out += [f"## {_md(_heading(table))}", "", _pipe(head), _pipe(["--:", "---", *["--:"] * (len(head) - 2)])]
        out += [_pipe([_rank(row), _md_name(row), *(_md_cell(row, c) for c in table.columns), over(row, table), _seeds(row)]) for row in table.rows]
        out += ["", f"{tier(table)} {LEGEND}", *(f"\n[{i}] {_md(note)}" for i, note in enumerate(table.footnotes, 1)), ""]
        out += [f"- {_md(line)}" for line in _unfinished(table)] + [""] * bool(table.unfinished)
    return "\n".join(out)


def _unfinished(table: Table) -> list[str]:
    """A line for every reason: which trials, how they ended, why."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for r in table.unfinished:
        groups.setdefault((r.outcome, r.reason), []).append(r)
    lines = []
    for (outcome, reason), records in groups.items():
        labels, seeds = list(dict.fromkeys(r.label for r in records)), sorted({r.seed for r in records})
        rows = " and ".join([*labels[:2], *([f"{len(labels) - 2} more"] if len(labels) > 2 else [])])
        lines.append(f"{rows}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}: {outcome}: {reason}")
    return lines


def _md(text: str) -> str:
    safe = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", safe)


def _pipe(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_cell(row: Row, column: Column) -> str:
    if not (cell := row.cells.get(column.key)):
        return "–"
    mean = {"best": "**{}**", "second": "<u>{}</u>"}.get(cell.mark, "{}").format(column.text(cell.value))
    tie = f" <sup>{cell.tie}</sup>" if cell.tie else ""
    return " ".join([mean + tie, *filter(None, [_md(bracket(cell, column))])])


def _rank(row: Row) -> str:
    return "–" if row.rank is None else str(row.rank)


def _name(row: Row) -> str:
    return f"{row.label} ({row.note})" if row.note else row.label


def _md_name(row: Row) -> str:
    return " ".join([_md(_name(row)), *(f"\\[{n + 1}\\]" for n in row.notes)])


def _tex_name(row: Row) -> str:
    notes = "".join(f"[{n + 1}]" for n in row.notes)
    return tex_escape(_name(row)) + (rf"\textsuperscript{{{notes}}}" if notes else "")


def _seeds(row: Row) -> str:
    return str(row.planned) if len(row.seeds) == row.planned else f"{len(row.seeds)} of {row.planned}"


def tex_escape(text: str) -> str:
    """Text that LaTeX prints as it stands: specials escaped, Greek as math, what Latin fonts lack as its code point."""
    return "".join(_tex_char(c) for c in plain(text))


def _tex_char(c: str) -> str:
    if c in _TEX or ord(c) < 256:
        return _TEX.get(c, c)
    if match := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(c, "")):
        name = match[2].replace("LAMDA", "LAMBDA")
        plain_capitals = {"ALPHA": "A", "BETA": "B", "EPSILON": "E", "ZETA": "Z", "ETA": "H", "IOTA": "I", "KAPPA": "K", "MU": "M", "NU": "N"}
        plain_capitals |= {"OMICRON": "O", "RHO": "P", "TAU": "T", "CHI": "X"}
        if match[1] == "CAPITAL":
            return f"${plain_capitals[name]}$" if name in plain_capitals else f"$\\{name.capitalize()}$"
        return {"OMICRON": "$o$", "FINAL SIGMA": r"$\varsigma$"}.get(name, f"$\\{name.lower()}$")
    return f"U+{ord(c):04X}"


def to_tex(tables: Sequence[Table]) -> str:
    r"""The tables to `\input` in a paper (needs booktabs and graphicx)."""
    return "\n\n".join(_tex_table(table) for table in tables) + "\n"


def _tex_table(table: Table) -> str:
    head = ["", "method", *(tex_escape(c.title) + f" {_TEX[arrow(c)]}" for c in table.scores), "n"]
    units = ["", "", *(tex_escape(c.unit) for c in table.scores), ""]
    rows = [[_rank(r), _tex_name(r), *(_tex_cell(r, c) for c in table.scores), tex_escape(over(r, table))] for r in table.rows]
    notes = [tex_escape(tier(table)), *(f"[{i}] {tex_escape(note)}" for i, note in enumerate(table.footnotes, 1))]
    body = tex_tabular("rl" + "r" * (len(table.scores) + 1), [head, units], rows)
    return "\n".join([f"% {plain(table.task)}: {LEGEND}", body, *(rf"\par\footnotesize {note}" for note in notes if note)])


def tex_tabular(columns: str, head: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> str:
    r"""A booktabs tabular that shrinks to the width of its column (needs graphicx), and does not grow."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *map(line, head), r"\midrule", *map(line, rows), r"\bottomrule", r"\end{tabular}"]
    fit = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
    return "\n".join([r"\noindent{\sbox0{%", *lines[:-1], lines[-1] + f"}}{fit}}}"])


def _tex_cell(row: Row, column: Column) -> str:
    if not (cell := row.cells.get(column.key)):
        return "--"
    mean = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}.get(cell.mark, "%s") % tex_escape(column.text(cell.value))
    tie = rf"\textsuperscript{{{cell.tie}}}" if cell.tie else ""
    interval = bracket(cell, column)
    return mean + tie + (rf" {{\scriptsize {tex_escape(interval)}}}" if interval else "")


def to_tex_document(tables: Sequence[Table]) -> str:
    """A document that compiles alone and prints the tables."""
    preamble = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage{textcomp,booktabs,graphicx}", r"\pagestyle{empty}"]
    bodies = [f"{{\\noindent\\textbf{{{tex_escape(_heading(t))}}}\\par\\medskip\\noindent\n{_tex_table(t)}\n\\par\\bigskip}}" for t in tables]
    return "\n".join([*preamble, r"\begin{document}", *bodies, rf"\noindent\footnotesize {tex_escape(LEGEND)}", r"\end{document}", ""])


def terminal(table: Table, title: str = "", only: Sequence[str] = ()) -> RichTable:
    """The leaderboard for 80 columns: marks as in `LEGEND`, the interval of the ranked column, what did not finish below.

    Args:
        table: the leaderboard.
        title: printed above it.
        only: the score columns to show (all if empty; those that the table lacks are passed over).
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    counts = dict.fromkeys(over(r, table) for r in table.rows if table.sort in r.cells)
    below = [f"{tier(table)} Brackets: 95 % interval over {' or '.join(counts)}."] if counts else []
    below += [f"[{i}] {note}" for i, note in enumerate(table.footnotes, 1)]
    below += _unfinished(table)
    caption = Text("\n".join(map(plain, below)), "dim") if below else None
    out = RichTable(title=Text(plain(title)) if title else None, caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = [c for c in table.scores if c.key in only or not only]
    columns += [c for c in table.costs if c.key in ("train_seconds", "ms_per_image")]
    out.add_column("#", justify="right", style="dim")
    out.add_column(
        "method", overflow="fold", min_width=min(max((len(plain(text)) for r in table.rows for text in (r.label, r.note)), default=12), 24)
    )
    for column in columns:
        heading = Text(plain(f"{column.title} {arrow(column)}\n{column.unit}".strip()), overflow="fold")
        out.add_column(heading, justify="right", no_wrap=column.key == table.sort)  # an interval that breaks is misread
    for row in table.rows:
        notes = "".join(f" [{n + 1}]" for n in row.notes)
        name = Text.assemble(plain(row.label), (notes, "dim"), (f"\n{plain(row.note)}" if row.note else "", "yellow"))
        out.add_row(_rank(row), name, *(_rich_cell(row, c, c.key == table.sort) for c in columns))
    return out


def _rich_cell(row: Row, column: Column, with_interval: bool) -> Any:
    from rich.text import Text

    if not (cell := row.cells.get(column.key)):
        return Text("–", "dim")
    style = {"best": "bold", "second": "underline"}.get(cell.mark, "")
    interval = bracket(cell, column) if with_interval else ""
    return Text.assemble((column.text(cell.value), style), (f" {cell.tie}" if cell.tie else "", "dim"), (f"\n{interval}" if interval else "", "dim"))
