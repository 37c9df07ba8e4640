"""The page of the claims, papers as chapters: each with its prediction, what was measured, a verdict, a figure. And the table as text."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.claim import Chapter, Claim, ClaimEntry
from bench.store.stored import strict
from reports import figures
from reports.latex import tex_escape
from reports.render import write_all
from reports.wording import to_plain_line

if TYPE_CHECKING:
    import jinja2
    from rich.table import Table as RichTable

Entries = Mapping[Chapter, Sequence[ClaimEntry]]
VERDICTS = ("holds", "holds with a deviation", "fails", "not checked")
_NEW = "not asked for yet"
_SIGNS = {"=": "", "<=": "≤ ", ">=": "≥ "}  # of a prediction that is a bound


def render(entries: Entries, out: Path, *, title: str, environment: Mapping[str, str]) -> list[Path]:
    """Write index.html and claims.{csv,json,tex} with the fragment claims_table.tex into `out`.

    Raises:
        UsageError: a file cannot be written (the earlier report stays).
    """
    texts = {
        "index.html": page(entries, title, environment),
        "claims.csv": to_csv(entries),
        "claims.json": to_json(entries),
        "claims.tex": to_tex_document(entries),
        "claims_table.tex": to_tex(entries),
    }
    return write_all({out / name: text for name, text in texts.items()})


def page(entries: Entries, title: str, environment: Mapping[str, str]) -> str:
    """One self-contained page that reads as a short course."""
    drawn = {
        e.claim.id: [figures.svg(panel, f"{e.claim.id}-{i}") for i, panel in enumerate(e.checked.figure)]
        for part in entries.values()
        for e in part
        if e.checked
    }
    return _environment().get_template("claims.html.j2").render(title=title, entries=entries, drawn=drawn, environment=environment)


@functools.cache
def _environment() -> jinja2.Environment:
    """The templates, with every name escaped, and the functions that they call."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    found.filters |= {"plain": to_plain_line}
    found.globals |= {"number": number, "verdict": verdict, "measured_in_words": measured_in_words, "relation_in_words": relation_in_words}
    found.globals |= {"counts": counts, "VERDICTS": VERDICTS}
    return found


def verdict(entry: ClaimEntry) -> str:
    """Its verdict, also where it was not asked for."""
    return entry.checked.verdict if entry.checked else "not checked"


def counts(entries: Entries) -> dict[str, int]:
    """How many claims have each verdict."""
    found = [verdict(e) for part in entries.values() for e in part]
    return {v: found.count(v) for v in VERDICTS if v in found}


def number(value: float) -> str:
    """Five digits, as short as possible."""
    return f"{value:.5g}".replace("-", "−")


def relation_in_words(claim: Claim) -> str:
    """The relation and its tolerance in words."""
    unit = " of the prediction" if claim.relative else ""
    relation = {"=": "equal", "<=": "at most", ">=": "at least"}[claim.relation]
    return f"{relation}, within {claim.tolerance:g}{unit}" if claim.tolerance else relation


def measured_in_words(entry: ClaimEntry) -> str:
    """Predicted and measured in a few words: the one case, or how many agree and the one that misses most."""
    if entry.checked is None:
        return _NEW
    cases = entry.checked.cases
    if not cases:
        return entry.checked.reason
    agree = sum(entry.claim.agrees(p, m) for _, p, m in cases)
    name, p, m = max(cases, key=lambda case: _miss(entry.claim, case[1], case[2]))
    pair = f"{number(m)} for {_SIGNS[entry.claim.relation]}{number(p)}"
    worst = "closest" if entry.claim.relation != "=" and agree == len(cases) else "farthest off"
    return pair if len(cases) == 1 else f"{agree} of {len(cases)} cases, {worst} {name}: {pair}"


def _miss(claim: Claim, predicted: float, found: float) -> float:
    excess = abs(found - predicted) if claim.relation == "=" else (found - predicted) * (1 if claim.relation == "<=" else -1)
    scaled = excess / abs(predicted) if claim.relative and predicted else excess
    return scaled if scaled == scaled else float("inf")


def _rows(entries: Entries) -> list[tuple[str, ClaimEntry]]:
    return [(chapter.paper.title, e) for chapter, part in entries.items() for e in part]


def to_csv(entries: Entries) -> str:
    """One line a case in full precision; a claim without cases has one line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["paper", "claim", "place", "statement", "case", "predicted", "measured", "relation", "tolerance", "verdict", "reason", "seconds"]
    )
    for paper, e in _rows(entries):
        checked = e.checked
        for name, p, m in (checked.cases if checked else ()) or [("", "", "")]:
            writer.writerow(
                [paper, e.claim.id, e.claim.place, e.claim.statement, name, p, m, e.claim.relation, e.claim.tolerance, verdict(e),
                 checked.reason if checked else _NEW, checked.seconds if checked else ""]
            )  # fmt: skip
    return out.getvalue()


def to_json(entries: Entries) -> str:
    """Every claim with its cases as strict JSON, without figures."""
    out = [
        {"paper": paper, "id": e.claim.id, "place": e.claim.place, "statement": e.claim.statement, "predicted": e.claim.predicted,
         "how": e.claim.how, "relation": e.claim.relation, "tolerance": e.claim.tolerance, "relative": e.claim.relative,
         "deviation": e.claim.deviation, "verdict": verdict(e), "reason": e.checked.reason if e.checked else _NEW,
         "cases": e.checked.cases if e.checked else ()}
        for paper, e in _rows(entries)
    ]  # fmt: skip
    return json.dumps(strict(out), indent=1, ensure_ascii=False) + "\n"


def to_tex(entries: Entries) -> str:
    r"""The table to `\input` in a paper (needs booktabs and longtable)."""
    columns = r"p{.15\linewidth}p{.34\linewidth}p{.26\linewidth}p{.12\linewidth}"
    lines = [
        rf"\begin{{longtable}}{{{columns}}}",
        r"\toprule",
        r"place & claim & measured for predicted & verdict \\",
        r"\midrule",
        r"\endhead",
    ]
    for chapter, part in entries.items():
        paper = chapter.paper
        lines.append(rf"\multicolumn{{4}}{{p{{.93\linewidth}}}}{{\emph{{{tex_escape(f'{paper.title}, {paper.venue}')}}}}} \\")
        for e in part:
            cells = [e.claim.place, e.claim.statement, measured_in_words(e), verdict(e)]
            lines.append(" & ".join(map(tex_escape, cells)) + r" \\")
        lines.append(r"\addlinespace")
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}", ""])


def to_tex_document(entries: Entries) -> str:
    """A document that compiles alone and prints the table."""
    preamble = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{textcomp,booktabs,longtable}",
        r"\usepackage[margin=2cm]{geometry}",
    ]
    return "\n".join([*preamble, r"\begin{document}", r"\footnotesize\raggedright", to_tex(entries), r"\end{document}", ""])


def terminal(entries: Entries) -> RichTable:
    """Paper, claim, predicted and measured, verdict; the claims that were not asked for are counted below."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = [(chapter, e) for chapter, part in entries.items() for e in part if e.checked]
    caption = ", ".join(f"{n} {v}" for v, n in counts({c: [e for d, e in shown if d is c] for c in entries}).items())
    left = sum(len(part) for part in entries.values()) - len(shown)
    caption += f"; {left} not asked for yet (--tier standard checks all)" if left else ""
    out = RichTable(caption=Text(caption), caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    longest = max((len(e.claim.id) for _, e in shown), default=0)
    for name, width in {
        "claim": longest,
        "place": 18,
        "measured for predicted": 24,
        "verdict": 12,
    }.items():  # rather wider than the terminal
        out.add_column(name, overflow="fold", no_wrap=name == "claim", min_width=width)
    style = {"holds": "", "holds with a deviation": "yellow", "fails": "bold red", "not checked": "dim"}
    for _, e in shown:
        texts = [e.claim.id, e.claim.place, measured_in_words(e)]
        out.add_row(*(Text(to_plain_line(t)) for t in texts), Text(verdict(e), style[verdict(e)]))
    return out
