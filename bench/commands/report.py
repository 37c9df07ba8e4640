"""Renders the report of a suite from what is on record."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.commands import check_claims
from bench.errors import UsageError
from bench.store.ledger import Ledger
from bench.store.lookup import require_store
from bench.store.mlflow_store import Store
from bench.store.record import TrialRecord
from bench.store.records import Records
from bench.suites import read
from bench.suites.schema import Suite
from bench.text import open_console

if TYPE_CHECKING:
    from reports.published import PublishedTable


def report_suite(name: str, tier: str | None, out: Path, tracking_uri: str | None, latex: Path | None, check: bool = False) -> int:
    """Rebuild tables and page from the store alone; put tables and figures for a paper into `latex`, or check those that are there.

    Returns:
        The exit code: 1 where a printed cell is not what the store holds.

    Raises:
        UsageError: nothing is on record, or there is nothing to check.
    """
    if check and latex is None:
        raise UsageError("--check needs the folder of the printed tables: --latex DIR")
    uri, console = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), open_console()
    suite = None if name == read.CLAIMS else read.load_suite(name)
    require_store(out, uri)
    if suite:
        folder = write_report(console, suite, Ledger(suite.name, out, uri).records, tier, out, latex=None if check else latex)
    else:
        check_claims.report(console, Ledger(read.CLAIMS, out, uri), folder := out / read.CLAIMS / "report")
    from reports import paper, render

    tables = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.tex"))}
    if latex and check:
        complaint = paper.check(tables, latex)
        print(complaint or f"every printed cell of {latex} is what the store holds", file=sys.stderr if complaint else sys.stdout)
        return int(bool(complaint))
    if latex:
        render.write_all({latex / name: text for name, text in tables.items()})
    return 0


def write_report(
    console: Console,
    suite: Suite,
    kept: Records,
    tier: str | None,
    out: Path,
    asked: Sequence[TrialRecord] = (),
    *,
    latex: Path | None = None,
) -> Path:
    """Render tables and page of a suite into its folder, and print the tables.

    Args:
        console: where to print.
        suite: the suite.
        kept: what is on record.
        tier: only of this tier.
        out: the output folder.
        asked: the records whose rows are wanted; those newest on record where there are none.
        latex: a folder for tables and figures of a paper, too.
    """
    from reports import export, overview, render

    folder = out / suite.name / "report"
    with tempfile.TemporaryDirectory() as scratch:
        records: list[TrialRecord] = kept.leaderboard_records(tier, Path(scratch), asked)
        records = _sort_by_suite(records, suite) + kept.tuning_records(records)
        known = {table.name: table for table in suite.tables}
        own = {r.workload: known[r.base_workload] for r in records if r.base_workload in known}
        tables = render.tables_of(records, sort={table.name: table.sort for table in suite.tables})
        render.render(tables, records, folder, title=suite.title, published=published_tables(suite), suite=suite, latex=latex)
        shown = [*overview.overviews(tables, records), *tables]
        for table in shown:
            title = table.name if len(shown) > 1 else ""
            headline = own[table.workload].headline if table.workload in own else []
            console.print(export.terminal(table, title, only=headline and [table.sort, *headline]))
            if hidden := [c.key for c in table.scores if headline and c.key not in (table.sort, *headline)]:
                console.print(f"also scored, in the report: {', '.join(hidden)}", markup=False, highlight=False)
    console.print(f"report   {folder / 'index.html'}")
    if isinstance(kept, Store):
        console.print(f"MLflow   mlflow ui --backend-store-uri {shlex.quote(kept.uri)}")
    return folder


def _sort_by_suite(records: list[TrialRecord], suite: Suite) -> list[TrialRecord]:
    """The tables in the order of the suite; workloads that it has no more come last."""
    names = [table.name for table in suite.tables]
    return sorted(records, key=lambda r: names.index(r.base_workload) if r.base_workload in names else len(names))


def published_tables(suite: Suite) -> list[PublishedTable]:
    """The tables of papers that the suite names. Raises UsageError where they cannot be read."""
    from reports import published

    return published.load(published.FOLDER / f"{suite.published}.toml") if suite.published else []
