"""What the command line asks for: run a suite, render its report again."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.commands import check_claims
from bench.commands.options import RunOptions, data_root_of, seeds_of, tier_of
from bench.commands.progress import SuiteDisplay
from bench.errors import UsageError
from bench.running.settings import Settings
from bench.scheduling import scheduler, tuning
from bench.scheduling.scheduler import Engine
from bench.spec import parse, split
from bench.store.ledger import Ledger
from bench.store.lookup import require_store
from bench.store.mlflow_store import Store
from bench.store.record import TrialRecord
from bench.store.records import Records
from bench.suites import read
from bench.suites.expand import expand
from bench.suites.schema import Suite, Tier, TierName
from bench.suites.trial import Trial
from bench.text import open_console
from bench.training.build import open_task
from bench.training.loop import Interrupted

if TYPE_CHECKING:
    from reports.published import PublishedTable

_MANY = 10_000  # trials that are run without asking


def run_suite(options: RunOptions) -> int:
    """Train and judge what is not on record yet, then render the report.

    Returns:
        The exit code: 1 where a trial failed, 130 where the user stopped.

    Raises:
        UsageError: bad input; nothing was run.
        Unavailable: the data of the suite are not here.
    """
    if options.suite == read.CLAIMS:
        return _check_claims(options)
    console = open_console()
    settings = options.settings()
    settings.prepare()
    suite = read.load_suite(options.suite)
    tier = tier_of(options.tier, settings.device)
    specs = [part for text in options.methods for part in split(text)]
    rows = expand(suite, tier, methods=specs, seeds=seeds_of(options.seeds), overrides=options.overrides)
    level = suite.tiers[tier]
    rows = tuning.prepare(rows, level)
    _agree(total := tuning.count(rows, level), options.yes)
    _check(suite, tier, rows, settings)
    ledger = Ledger(suite.name, options.out, options.tracking_uri, console.print)
    if older := ledger.older():
        console.print(older)
    console.print(f"{suite.title}\n{total} trials, tier {tier}, {settings.device}")
    headline = [column for table in suite.tables for column in table.headline or [table.sort]]
    again = "--fresh begins afresh again: leave it out to keep what has ended" if options.fresh else "give the same command again to go on"
    try:
        with (
            _engine(options, settings, level) as (engine, worker_settings),
            SuiteDisplay(console, total, headline, engine is not scheduler.run_serially) as display,
        ):
            run = functools.partial(
                scheduler.run_all, settings=worker_settings, ledger=ledger, display=display, fresh=options.fresh, engine=engine
            )
            records, failed = _train(rows, level, run, display)
    except Interrupted:
        console.print(f"stopped; everything is saved: {again}")
        return 130
    except KeyboardInterrupt:
        console.print(f"stopped at once; trials that ran are saved up to their last checkpoints: {again}")
        return 130
    if not display.started:
        console.print(f"all {total} trials are on record already: nothing to train (--fresh trains again)")
    _report(console, suite, ledger.records, tier, options.out, records)
    if failed:
        console.print(f"{len(failed)} of {total} trials failed, the first of them {failed[0]}")
    return int(bool(failed))


@contextlib.contextmanager
def _engine(options: RunOptions, settings: Settings, level: Tier) -> Iterator[tuple[Engine, Settings]]:
    """What runs the trials, and the settings it gives them."""
    if options.workers is None and options.ray is None:
        yield scheduler.run_serially, settings
        return
    from bench.scheduling import ray_engine

    with ray_engine.engine(options.workers, options.ray, settings, gpus=level.gpus, alone=level.alone) as pair:
        yield pair


def _train(
    rows: Sequence[Trial], level: Tier, run_all: Callable[[Sequence[Trial]], list[TrialRecord]], display: SuiteDisplay
) -> tuple[list[TrialRecord], list[str]]:
    """Tune the rows, run them, vary them: the records of the rows, and a line for every trial that failed, whatever it was for."""
    failed: list[str] = []

    def run(trials: Sequence[Trial]) -> list[TrialRecord]:
        found = run_all(trials)
        display.passed += len(trials)
        failed.extend(f"{t.title}, seed {t.seed}: {r.reason}" for t, r in zip(trials, found, strict=True) if r.outcome == "failed")
        return found

    records = run(tuning.tune(rows, level.tuning, run))
    run(tuning.sensitivity_trials(rows, level.sensitivity))
    return records, failed


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
        folder = _report(console, suite, Ledger(suite.name, out, uri).records, tier, out, latex=None if check else latex)
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


def _report(
    console: Console,
    suite: Suite,
    kept: Records,
    tier: str | None,
    out: Path,
    asked: Sequence[TrialRecord] = (),
    *,
    latex: Path | None = None,
) -> Path:
    from reports import export, overview, render

    folder = out / suite.name / "report"
    with tempfile.TemporaryDirectory() as scratch:
        records: list[TrialRecord] = kept.leaderboard_records(tier, Path(scratch), asked)
        records = _in_order(records, suite) + kept.tuning_records(records)
        known = {table.name: table for table in suite.tables}
        own = {r.workload: known[r.base_workload] for r in records if r.base_workload in known}
        tables = render.tables_of(records, sort={table.name: table.sort for table in suite.tables})
        render.render(tables, records, folder, title=suite.title, published=_published(suite), suite=suite, latex=latex)
        shown = [*overview.overviews(tables, records), *tables]
        for table in shown:
            title = table.name if len(shown) > 1 else ""
            headline = own[table.workload].headline if table.workload in own else []
            console.print(export.terminal(table, title, only=headline and [table.sort, *headline]))
    console.print(f"report   {folder / 'index.html'}")
    if isinstance(kept, Store):
        console.print(f"MLflow   mlflow ui --backend-store-uri {shlex.quote(kept.uri)}")
    return folder


def _in_order(records: list[TrialRecord], suite: Suite) -> list[TrialRecord]:
    """The tables in the order of the suite; workloads that it has no more come last."""
    names = [table.name for table in suite.tables]
    return sorted(records, key=lambda r: names.index(r.base_workload) if r.base_workload in names else len(names))


def _agree(trials: int, yes: bool) -> None:
    """A grid may be larger than its author thought.

    Raises:
        UsageError: it is, and nobody says that it is meant.
    """
    if trials <= _MANY or yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"these are {trials:,} trials: give --yes if that is meant, or fewer --seeds or --methods")
    if input(f"{trials:,} trials. Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was run")


def _check_claims(options: RunOptions) -> int:
    """Claims are checked on the CPU under one seed; what would change that is refused."""
    given = {k: v for k, v in vars(options).items() if v and v != getattr(RunOptions(suite=read.CLAIMS), k)}
    names = {"seeds": "seeds", "overrides": "set", "max_seconds": "max-seconds", "deterministic": "deterministic", "plugins": "plugin"}
    names |= {
        name: name.replace("_", "-")
        for name in ("workers", "ray", "threads", "on_oom", "ranks", "checkpoints", "keep_weights", "strict_environment")
    }
    for name in names.keys() & given.keys():
        raise UsageError(
            f"--{names[name]} means nothing to the claims: they run on the CPU under seed 0; --methods chooses papers or claims"
        )
    if options.device not in ("auto", "cpu"):
        raise UsageError(f"claims are checked on the CPU, not on {options.device}: leave out --device")
    if root := data_root_of(options.data_root):
        os.environ["GANBENCH_DATA"] = str(root)
    return check_claims.run(options.tier or "quick", options.methods, options.out, options.tracking_uri, options.fresh)


def _check(suite: Suite, tier: TierName, rows: Sequence[Trial], settings: Settings) -> None:
    """Find out before hours of training what would spoil the report after them."""
    _published(suite)
    level, first = suite.tiers[tier], {row.base_workload: row for row in reversed(rows)}
    compared = bool((level.tuning and level.tuning.searches) or level.sensitivity or suite.references)  # on validation
    for table in (t for t in suite.tables if t.name in first):
        task = first[table.name].task
        known = open_task(str(task), settings.data_root, settings.device).cards()
        change = level.workloads[table.name].task if table.name in level.workloads else {}
        own = {**parse(table.task).options, **level.task, **change}
        where = f"suite {suite.name!r}" + (f", workload {table.name!r}," if table.name else "")
        if table.sort not in known and task.options.get("metrics") == own.get("metrics"):
            raise UsageError(f"{where} sorts by {table.sort!r}, which the task {task.name} does not score; known: {', '.join(known)}")
        if compared and table.sort in known and table.sort != (first_column := next(iter(known))):
            raise UsageError(
                f"{where} sorts by {table.sort!r}, but validation, which tunes and sets targets, goes by {first_column!r}: make them one"
            )


def _published(suite: Suite) -> list[PublishedTable]:
    from reports import published

    return published.load(published.FOLDER / f"{suite.published}.toml") if suite.published else []
