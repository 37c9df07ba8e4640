"""Runs a suite: plans its trials, trains and judges what is missing, renders the report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console

from bench.commands import check_claims
from bench.commands.arguments import RunOptions
from bench.commands.options import compute_of, data_root_of, seeds_of, settings_of, tier_of
from bench.commands.progress import SuiteDisplay
from bench.commands.report import published_tables, write_report
from bench.errors import Unavailable, UsageError
from bench.running.settings import Settings
from bench.scheduling import scheduler, tuning
from bench.scheduling.scheduler import Engine
from bench.spec import parse, split
from bench.store.ledger import Ledger
from bench.store.record import TrialRecord
from bench.suites import read
from bench.suites.expand import expand
from bench.suites.schema import Suite, Tier, TierName
from bench.suites.trial import Trial
from bench.text import open_console
from bench.training.build import open_task
from bench.training.loop import Interrupted

_MANY = 10_000  # trials that are run without asking
_NOT_OF_CLAIMS = (
    "seeds", "overrides", "max_seconds", "deterministic", "plugins", "workers", "ray", "threads", "on_oom", "ranks", "checkpoints",
    "keep_weights", "strict_environment", "precision", "channels_last", "compile", "cuda_graphs",
)  # fmt: skip


def run_suite(options: RunOptions, console: Console | None = None) -> int:
    """Train and judge what is not on record yet, then render the report.

    Args:
        options: as given on the command line.
        console: where to print; None: standard output.

    Returns:
        The exit code: 1 where a trial failed, 130 where the user stopped.

    Raises:
        UsageError: bad input; nothing was run.
        Unavailable: the data of the suite are not here.
    """
    if options.suite == read.CLAIMS:
        return _check_claims(options)
    settings = settings_of(options)
    settings.prepare()
    suite = read.load_suite(options.suite)
    tier = tier_of(options.tier, settings.device)
    if tier in suite.tiers:  # else told below
        settings = dataclasses.replace(settings, compute=compute_of(options, suite.tiers[tier], settings.device))
    console = console or open_console()
    rows = _leave_out_missing(_plan_rows(options, suite, tier), settings, console)
    tier_config = suite.tiers[tier]
    _confirm_size(total := tuning.count(rows, tier_config), options.yes)
    _check_report(suite, tier, rows, settings)
    ledger = Ledger(suite.name, options.out, options.tracking_uri, console.print)
    if older := ledger.older():
        console.print(older)
    console.print(f"{suite.title}\n{total} trials, tier {tier}, {settings.device}")
    headline = [column for table in suite.tables for column in table.headline or [table.sort]]
    try:
        with (
            _engine(options, settings, tier_config) as (engine, worker_settings),
            SuiteDisplay(console, total, headline, engine is not scheduler.run_serially) as display,
        ):
            run = functools.partial(scheduler.run_all, settings=worker_settings, ledger=ledger, display=display, fresh=options.fresh)
            records, failed = _run_rows(rows, tier_config, functools.partial(run, engine=engine), display)
    except (Interrupted, KeyboardInterrupt) as stop:
        return _report_stop(console, stop, options.fresh)
    if not display.started:
        console.print(f"all {total} trials are on record already: nothing to train (--fresh trains again)")
    write_report(console, suite, ledger.records, tier, options.out, records)
    if options.save_outputs:
        console.print(f"outputs  {options.out / suite.name / 'trials'}/TRAINING/judgements/TRIAL/outputs")
    if failed:
        console.print(f"{len(failed)} of {total} trials failed, the first of them {failed[0]}")
    return int(bool(failed))


def _report_stop(console: Console, stop: BaseException, fresh: bool) -> int:
    """Say what is saved, and how to go on. Returns the exit code."""
    saved = "everything is saved" if isinstance(stop, Interrupted) else "trials that ran are saved up to their last checkpoints"
    again = "--fresh begins afresh again: leave it out to keep what has ended" if fresh else "give the same command again to go on"
    console.print(f"{'stopped' if isinstance(stop, Interrupted) else 'stopped at once'}; {saved}: {again}")
    return 130


def _plan_rows(options: RunOptions, suite: Suite, tier: TierName) -> list[Trial]:
    """The rows that are asked for, with the plan of what tunes and varies them."""
    specs = [part for text in options.methods for part in split(text)]
    rows = expand(suite, tier, methods=specs, seeds=seeds_of(options.seeds), overrides=options.overrides)
    return tuning.prepare(rows, suite.tiers[tier])


def _leave_out_missing(rows: Sequence[Trial], settings: Settings, console: Console) -> list[Trial]:
    """The rows whose data are here; of a suite of several tables the others are named, a line for each.

    Raises:
        Unavailable: the data of no table are here.
    """
    missing: dict[str, Unavailable] = {}
    for table, row in {row.workload: row for row in reversed(rows)}.items():
        try:
            open_task(str(row.task), settings.data_root, settings.device_here).fingerprint()
        except Unavailable as error:
            missing[table] = error
    left = [row for row in rows if row.workload not in missing]
    if not left and missing:
        raise next(reversed(missing.values()))
    for table, reason in reversed(missing.items()):
        console.print(f"{table} is left out: {reason}")
    return left


@contextlib.contextmanager
def _engine(options: RunOptions, settings: Settings, tier_config: Tier) -> Iterator[tuple[Engine, Settings]]:
    """What runs the trials, and the settings it gives them."""
    if options.workers is None and options.ray is None:
        yield scheduler.run_serially, settings
        return
    from bench.scheduling import ray_engine

    with ray_engine.engine(options.workers, options.ray, settings, gpus=tier_config.gpus, alone=tier_config.alone) as pair:
        yield pair


def _run_rows(
    rows: Sequence[Trial], tier_config: Tier, run_all: Callable[[Sequence[Trial]], list[TrialRecord]], display: SuiteDisplay
) -> tuple[list[TrialRecord], list[str]]:
    """Tune the rows, run them, vary them: the records of the rows, and a line for every trial that failed, whatever it was for."""
    failed: list[str] = []

    def run(trials: Sequence[Trial]) -> list[TrialRecord]:
        found = run_all(trials)
        display.passed += len(trials)
        failed.extend(f"{t.title}, seed {t.seed}: {r.reason}" for t, r in zip(trials, found, strict=True) if r.outcome == "failed")
        return found

    records = run(tuning.tune(rows, tier_config.tuning, run))
    run(tuning.sensitivity_trials(rows, tier_config.sensitivity))
    return records, failed


def _confirm_size(trials: int, yes: bool) -> None:
    """Ask the user before a grid that may be larger than its author thought.

    Raises:
        UsageError: the user declines, or there is nobody to ask.
    """
    if trials <= _MANY or yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"these are {trials:,} trials: give --yes if that is meant, or fewer --seeds or --methods")
    if input(f"{trials:,} trials. Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was run")


def _check_claims(options: RunOptions) -> int:
    """Claims are checked on the CPU under one seed; what would change that is refused."""
    defaults = RunOptions()
    given = [name for name in _NOT_OF_CLAIMS if getattr(options, name) != getattr(defaults, name)]
    if given:
        flag = {"overrides": "set", "plugins": "plugin"}.get(given[0], given[0].replace("_", "-"))
        raise UsageError(f"--{flag} means nothing to the claims: they run on the CPU under seed 0; --methods chooses papers or claims")
    if options.device not in ("auto", "cpu"):
        raise UsageError(f"claims are checked on the CPU, not on {options.device}: leave out --device")
    if root := data_root_of(options.data_root):
        os.environ["GANBENCH_DATA"] = str(root)
    return check_claims.run(options.tier or "quick", options.methods, options.out, options.tracking_uri, options.fresh)


def _check_report(suite: Suite, tier: TierName, rows: Sequence[Trial], settings: Settings) -> None:
    """Find out before hours of training what would spoil the report after them.

    Raises:
        UsageError: a sort column that the task does not score or validation does not rank by, a broken table of a paper.
    """
    published_tables(suite)
    tier_config, first = suite.tiers[tier], {row.base_workload: row for row in reversed(rows)}
    compared = bool((tier_config.tuning and tier_config.tuning.searches) or tier_config.sensitivity or suite.references)  # on validation
    for table in (t for t in suite.tables if t.name in first):
        task = first[table.name].task
        known = open_task(str(task), settings.data_root, settings.device_here).cards()
        change = tier_config.workloads[table.name].task if table.name in tier_config.workloads else {}
        own = {**parse(table.task).options, **tier_config.task, **change}
        where = f"suite {suite.name!r}" + (f", workload {table.name!r}," if table.name else "")
        if table.sort not in known and task.options.get("metrics") == own.get("metrics"):
            raise UsageError(f"{where} sorts by {table.sort!r}, which the task {task.name} does not score; known: {', '.join(known)}")
        if compared and table.sort in known and table.sort != (first_column := next(iter(known))):
            raise UsageError(
                f"{where} sorts by {table.sort!r}, but validation, which tunes and sets targets, goes by {first_column!r}: make them one"
            )
