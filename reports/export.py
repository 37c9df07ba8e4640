"""A leaderboard as CSV, Markdown, JSON and a table for the terminal. Each function returns text; nothing is written here."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.store.record import TrialRecord
from bench.store.stored import strict
from bench.text import inert
from reports.table import Leaderboard, LeaderboardColumn, LeaderboardRow
from reports.wording import (
    LEGEND,
    arrow,
    bracket,
    heading,
    interval_basis,
    rank_text,
    row_name,
    tier_sentence,
    to_plain_line,
    unfinished_lines,
)

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def to_csv(tables: Sequence[Leaderboard]) -> str:
    """One line a label in full precision, then one a trial that did not finish, and one a remark that concerns no single row."""
    rows = [flat for table in tables for flat in [*_csv_rows(table), *_remark_rows(table)]]
    out = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerow({key: inert(key) for key in columns})
    writer.writerows({key: inert(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _csv_rows(table: Leaderboard) -> list[dict[str, Any]]:
    rows = []
    for row in table.rows:
        flat: dict[str, Any] = {
            **_table_fields(table),
            "rank": row.rank,
            "label": row.label,
            "outcome": "diverged" if row.diverged else "finished",
            "reason": ", ".join(filter(None, [row.note, *(table.footnotes[n] for n in row.notes), *_absences(row, table)])),
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
        rows.append(
            {
                **_table_fields(table),
                "label": r.label,
                "outcome": r.outcome,
                "reason": r.reason,
                "tier": r.tier,
                "seeds": r.seed,
                "spec": r.spec,
            }
        )
    return rows


def _absences(row: LeaderboardRow, table: Leaderboard) -> list[str]:
    """Why a row has no number in some columns."""
    return [f"{table.column(key).title}: {why}" for key, why in row.absent.items()]


def _remark_rows(table: Leaderboard) -> list[dict[str, Any]]:
    borne = {n for row in table.rows for n in row.notes}
    return [{**_table_fields(table), "outcome": "remark", "reason": note} for n, note in enumerate(table.footnotes) if n not in borne]


def _table_fields(table: Leaderboard) -> dict[str, str]:
    return ({"workload": table.workload} if table.workload else {}) | {"task": table.task}


def to_json(tables: Sequence[Leaderboard], records: Sequence[TrialRecord], title: str, overviews: Sequence[Leaderboard] = ()) -> str:
    """Tables, the means over test sets, and trials (their scalars) as strict JSON."""
    data = {
        "title": title,
        "leaderboard": [flat for table in tables for flat in _csv_rows(table)],
        "overview": [flat for table in overviews for flat in _csv_rows(table)],
        "footnotes": {table.workload or table.task: table.footnotes for table in tables} | {t.name: t.footnotes for t in overviews},
        "trials": [r.head() for r in records],
    }
    return json.dumps(strict(data), indent=1, ensure_ascii=False) + "\n"


def to_markdown(tables: Sequence[Leaderboard], title: str) -> str:
    """A heading and a pipe table a task, with footnotes and the trials that did not finish."""
    out = [f"# {_md_escape(title)}", ""]
    for table in tables:
        head = ["#", "method", *(_md_escape(f"{c.title} {arrow(c)}{f' {c.unit}' if c.unit else ''}") for c in table.columns), "n", "seeds"]
        out += [f"## {_md_escape(heading(table))}", "", _pipe(head), _pipe(["--:", "---", *["--:"] * (len(head) - 2)])]
        out += [
            _pipe([rank_text(row), _md_name(row), *(_md_cell(row, c) for c in table.columns), interval_basis(row, table), _seeds(row)])
            for row in table.rows
        ]
        out += ["", f"{tier_sentence(table)} {LEGEND}", *(f"\n[{i}] {_md_escape(note)}" for i, note in enumerate(table.footnotes, 1)), ""]
        out += [f"- {_md_escape(line)}" for line in unfinished_lines(table)] + [""] * bool(table.unfinished)
    return "\n".join(out)


def _md_escape(text: str) -> str:
    safe = to_plain_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", safe)


def _pipe(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_cell(row: LeaderboardRow, column: LeaderboardColumn) -> str:
    if not (cell := row.cells.get(column.key)):
        return _md_escape(row.no_number(column.key))
    mean = {"best": "**{}**", "second": "<u>{}</u>"}.get(cell.mark, "{}").format(column.text(cell.value))
    tie = f" <sup>{cell.tie}</sup>" if cell.tie else ""
    return " ".join([mean + tie, *filter(None, [_md_escape(bracket(cell, column))])])


def _md_name(row: LeaderboardRow) -> str:
    return " ".join([_md_escape(row_name(row)), *(f"\\[{n + 1}\\]" for n in row.notes)])


def _seeds(row: LeaderboardRow) -> str:
    return str(row.planned) if len(row.seeds) == row.planned else f"{len(row.seeds)} of {row.planned}"


def terminal(table: Leaderboard, title: str = "", only: Sequence[str] = ()) -> RichTable:
    """The leaderboard for 80 columns: marks as in `LEGEND`, the interval of the ranked column, what did not finish below.

    Args:
        table: the leaderboard.
        title: printed above it; that of a test set has its name in any case.
        only: the score columns to show (if empty those of its headline; those that the table lacks are passed over).
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    below = _caption_lines(table)
    caption = Text("\n".join(map(to_plain_line, below)), "dim") if below else None
    title = title or (table.name if table.test_set or table.overview_of else "")
    out = RichTable(
        title=Text(to_plain_line(title)) if title else None,
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    chosen = only or table.headline
    columns = [c for c in table.scores if c.key in chosen or not chosen]
    columns += [c for c in table.costs if c.key in ("train_seconds", "ms_per_image")]
    out.add_column("#", justify="right", style="dim")
    out.add_column(
        "method",
        overflow="fold",
        min_width=min(max((len(to_plain_line(text)) for r in table.rows for text in (r.label, r.note)), default=12), 24),
    )
    for column in columns:
        heading = Text(to_plain_line(f"{column.title} {arrow(column)}\n{column.unit}".strip()), overflow="fold")
        out.add_column(heading, justify="right", no_wrap=column.key == table.sort)  # an interval that breaks is misread
    for row in table.rows:
        notes = "".join(f" [{n + 1}]" for n in row.notes)
        name = Text.assemble(to_plain_line(row.label), (notes, "dim"), (f"\n{to_plain_line(row.note)}" if row.note else "", "yellow"))
        out.add_row(rank_text(row), name, *(_rich_cell(row, c, c.key == table.sort) for c in columns))
    return out


def _caption_lines(table: Leaderboard) -> list[str]:
    """What stands under a table in the terminal: what intervals are over, footnotes, what did not finish."""
    counts = dict.fromkeys(interval_basis(r, table) for r in table.rows if table.sort in r.cells)
    basis = [f"{tier_sentence(table)} Brackets: 95 % interval over {' or '.join(counts)}."] if counts else []
    return [*basis, *(f"[{i}] {note}" for i, note in enumerate(table.footnotes, 1)), *unfinished_lines(table)]


def _rich_cell(row: LeaderboardRow, column: LeaderboardColumn, with_interval: bool) -> Any:
    from rich.text import Text

    if not (cell := row.cells.get(column.key)):
        return Text(to_plain_line(row.no_number(column.key)), "dim")
    style = {"best": "bold", "second": "underline"}.get(cell.mark, "")
    interval = bracket(cell, column) if with_interval else ""
    return Text.assemble(
        (column.text(cell.value), style),
        (f" {cell.tie}" if cell.tie else "", "dim"),
        (f"\n{interval}" if interval else "", "dim"),
    )
