r"""A leaderboard as LaTeX: tables to `\input`, and a document that compiles alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from reports.table import Leaderboard, LeaderboardColumn, LeaderboardRow
from reports.wording import LEGEND, arrow, bracket, heading, interval_basis, rank_text, row_name, tier_sentence, to_plain_line

_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": r"{-}", "−": "$-$", "–": "--", "∞": r"$\infty$",
    "≥": r"$\geq$", "≤": r"$\leq$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip


def tex_escape(text: str) -> str:
    """Text that LaTeX prints as it stands: specials escaped, Greek as math, what Latin fonts lack as its code point."""
    return "".join(_tex_char(c) for c in to_plain_line(text))


def _tex_char(c: str) -> str:
    if c in _TEX or ord(c) < 256:
        return _TEX.get(c, c)
    if match := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(c, "")):
        name = match[2].replace("LAMDA", "LAMBDA")
        plain_capitals = {
            "ALPHA": "A",
            "BETA": "B",
            "EPSILON": "E",
            "ZETA": "Z",
            "ETA": "H",
            "IOTA": "I",
            "KAPPA": "K",
            "MU": "M",
            "NU": "N",
        }
        plain_capitals |= {"OMICRON": "O", "RHO": "P", "TAU": "T", "CHI": "X"}
        if match[1] == "CAPITAL":
            return f"${plain_capitals[name]}$" if name in plain_capitals else f"$\\{name.capitalize()}$"
        return {"OMICRON": "$o$", "FINAL SIGMA": r"$\varsigma$"}.get(name, f"$\\{name.lower()}$")
    return f"U+{ord(c):04X}"


def to_tex(tables: Sequence[Leaderboard]) -> str:
    r"""The tables to `\input` in a paper (needs booktabs and graphicx)."""
    return "\n\n".join(_tex_table(table) for table in tables) + "\n"


def _tex_table(table: Leaderboard) -> str:
    head = ["", "method", *(tex_escape(c.title) + f" {_TEX[arrow(c)]}" for c in table.scores), "n"]
    units = ["", "", *(tex_escape(c.unit) for c in table.scores), ""]
    rows = [_tex_row(row, table) for row in table.rows]
    notes = [tex_escape(tier_sentence(table)), *(f"[{i}] {tex_escape(note)}" for i, note in enumerate(table.footnotes, 1))]
    body = tex_tabular("rl" + "r" * (len(table.scores) + 1), [head, units], rows)
    return "\n".join([f"% {to_plain_line(heading(table))}: {LEGEND}", body, *(rf"\par\footnotesize {note}" for note in notes if note)])


def _tex_row(row: LeaderboardRow, table: Leaderboard) -> list[str]:
    cells = [_tex_cell(row, column) for column in table.scores]
    return [rank_text(row), _tex_name(row), *cells, tex_escape(interval_basis(row, table))]


def tex_tabular(columns: str, head: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> str:
    r"""A booktabs tabular that shrinks to the width of its column (needs graphicx), and does not grow."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *map(line, head),
        r"\midrule",
        *map(line, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    fit = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
    return "\n".join([r"\noindent{\sbox0{%", *lines[:-1], lines[-1] + f"}}{fit}}}"])


def _tex_cell(row: LeaderboardRow, column: LeaderboardColumn) -> str:
    if not (cell := row.cells.get(column.key)):
        return tex_escape(row.no_number(column.key))
    mean = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}.get(cell.mark, "%s") % tex_escape(column.text(cell.value))
    tie = rf"\textsuperscript{{{cell.tie}}}" if cell.tie else ""
    interval = bracket(cell, column)
    return mean + tie + (rf" {{\scriptsize {tex_escape(interval)}}}" if interval else "")


def to_tex_document(tables: Sequence[Leaderboard]) -> str:
    """A document that compiles alone and prints the tables."""
    preamble = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage{textcomp,booktabs,graphicx}", r"\pagestyle{empty}"]
    titles = [rf"\noindent\textbf{{{tex_escape(heading(table))}}}\par\medskip\noindent" for table in tables]
    bodies = [f"{{{title}\n{_tex_table(table)}\n\\par\\bigskip}}" for title, table in zip(titles, tables, strict=True)]
    return "\n".join([*preamble, r"\begin{document}", *bodies, rf"\noindent\footnotesize {tex_escape(LEGEND)}", r"\end{document}", ""])


def _tex_name(row: LeaderboardRow) -> str:
    notes = "".join(f"[{n + 1}]" for n in row.notes)
    return tex_escape(row_name(row)) + (rf"\textsuperscript{{{notes}}}" if notes else "")
