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
from reports.suite_summary import summarise
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
    """Write index.html, leaderboard.{csv,md,json,tex} and the fragments that `paper.texts` names into `out`, and a paper's figures into `latex`.

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
        "leaderboard.csv": export.to_csv(tables),
        "leaderboard.md": export.to_markdown(tables, title),
        "leaderboard.json": export.to_json(tables, records, title),
        **paper.texts(tables, summary),
    }
    figures = paper.figures(tables, records, summary) if latex else {}
    written = write_all({out / name: text for name, text in texts.items()} | {(latex or out) / name: data for name, data in figures.items()})
    for fragment in out.glob("*.tex"):
        if fragment.name not in texts | figures:  # of a table that the suite no longer has
            fragment.unlink()
    return written


def tables_of(records: Sequence[TrialRecord], *, sort: str | Mapping[str, str]) -> list[Leaderboard]:
    """One leaderboard a workload, or a task, in the order of the records. One that lacks the column it is to be ranked by is ranked by its first.

    Args:
        records: the trials of a suite, rows at most one a (workload, task, label, seed).
        sort: the column to rank by, or one for each workload.

    Raises:
        UsageError: no task has that column, or `leaderboard` refuses the records.
    """
    groups = group_by_table([record for record in records if record.role == "row"])
    column = {key: sort if isinstance(sort, str) else sort.get(key[0], "") for key in groups}
    tables = [leaderboard(group, sort=column[key]) for key, group in groups.items()]
    known = sorted({c.key for t in tables for c in t.columns})
    if isinstance(sort, str) and known and sort not in known:
        raise UsageError(f"cannot rank by {sort!r}: no trial has that column; known: {', '.join(known)}")
    return tables


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
