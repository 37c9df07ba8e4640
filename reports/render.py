"""Records -> a report folder. Every file is complete before the first is put in place, so an earlier report survives a failure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store.record import TrialRecord
from reports import export, figure_style, paper
from reports.html import page
from reports.leaderboard import leaderboard
from reports.published import PublishedTable
from reports.suite_summary import SuiteSummary, summarise
from reports.table import Leaderboard
from reports.trials import group_by_table

if TYPE_CHECKING:
    from bench.suites.schema import Suite


def render(
    tables: Sequence[Leaderboard],
    records: Sequence[TrialRecord],
    out: Path,
    *,
    title: str,
    published: Sequence[PublishedTable] = (),
    suite: Suite | None = None,
    latex: Path | None = None,
) -> list[Path]:
    """Write index.html, the tables in every form and the fragments that `paper.texts` names into `out`, and a paper's figures into `latex`.

    Args:
        tables: the leaderboards, from `tables_of`.
        records: the trials of the suite, rows and those that tuned and varied them.
        out: the folder; made where absent.
        title: the report's heading.
        published: the papers' numbers, from `reports.published.load`.
        suite: its axes and references, for what is said across tables.
        latex: a folder for what `paper.figures` draws; none: no figures.

    Returns:
        The files written, index.html first, the figures last.

    Raises:
        UsageError: a file cannot be written (the earlier report stays).
    """
    summary = summarise(tables, records, figure_style.styles(records), suite)
    texts: dict[str, str | bytes] = {
        "index.html": page(tables, records, title=title, published=published, summary=summary),
        **_table_files(tables, records, title, summary),
    }
    figures = paper.figures(tables, records, summary) if latex else {}
    files = {out / name: text for name, text in texts.items()}
    written = write_all(files | {(latex or out) / name: data for name, data in figures.items()})
    for file in [*out.glob("*.tex"), *out.glob("overview.csv")]:
        if file.name not in texts | figures:  # of a table that the suite no longer has
            file.unlink()
    return written


def _table_files(tables: Sequence[Leaderboard], records: Sequence[TrialRecord], title: str, summary: SuiteSummary | None) -> dict[str, str]:
    """File name -> the tables as CSV, Markdown, JSON and LaTeX; means over test sets have a CSV of their own."""
    over_sets = summary.overviews if summary else []
    return {
        "leaderboard.csv": export.to_csv(tables),
        "leaderboard.md": export.to_markdown([*over_sets, *tables], title),
        "leaderboard.json": export.to_json(tables, records, title, over_sets),
        **({"overview.csv": export.to_csv(over_sets)} if over_sets else {}),
        **paper.texts(tables, summary),
    }


def tables_of(records: Sequence[TrialRecord], *, sort: str | Mapping[str, str]) -> list[Leaderboard]:
    """One leaderboard a workload, task or test set. One that lacks the column it is to be ranked by is ranked by its first.

    Args:
        records: the trials of a suite, rows at most one a (workload, task, label, seed).
        sort: the column to rank by; or that of each table of the suite, in whose order the leaderboards are, those of its test sets
            in the order of the records. Workloads that no table of the suite is called by come last.

    Raises:
        UsageError: no task has that column, or `leaderboard` refuses the records.
    """
    groups = group_by_table([record for record in records if record.role == "row"])
    names = [] if isinstance(sort, str) else list(sort)
    tables = []
    for group in groups.values():
        tables.append(leaderboard(group, sort=sort if isinstance(sort, str) else _column_of(group[0].base_workload, sort)))
        tables[-1].test_set = group[0].test
    tables.sort(key=lambda t: names.index(t.suite_table) if t.suite_table in names else len(names))
    known = sorted({c.key for t in tables for c in t.columns})
    if isinstance(sort, str) and known and sort not in known:
        raise UsageError(f"cannot rank by {sort!r}: no trial has that column; known: {', '.join(known)}")
    return tables


def _column_of(suite_table: str, sort: Mapping[str, str]) -> str:
    """The column that ranks a table; that of the suite's only table for one that the suite does not name."""
    return sort.get(suite_table, next(iter(sort.values())) if len(sort) == 1 else "")


def write_all(texts: Mapping[Path, str | bytes]) -> list[Path]:
    """Write all the files or, as far as the file system allows, none: each goes to a temporary neighbour first.

    Raises:
        UsageError: naming the file that could not be written.
    """
    waiting: dict[Path, str] = {}
    path = Path()
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, waiting[path] = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text)
                file.flush()
                os.fsync(file.fileno())
        for path in texts:
            os.replace(waiting[path], path)
            del waiting[path]
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; free some space or choose another folder (--out)") from error
    finally:
        for name in waiting.values():
            Path(name).unlink(missing_ok=True)
    return list(texts)
