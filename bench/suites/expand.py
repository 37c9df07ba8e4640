"""Suite files (TOML) -> a grid of trials. Strict: an unknown key, name or value is an error that names the known ones."""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench import registry
from bench.errors import UsageError
from bench.spec import Spec, parse
from bench.suites import grid
from bench.suites.components import check_method
from bench.suites.schema import Override, Suite, Table, Tier, TierName, Workload
from bench.suites.trial import Trial

_MOST = 100_000  # trials of a grid that are listed at all


def expand(
    suite: Suite, tier: TierName, *, methods: Sequence[str] = (), seeds: Sequence[int] | None = None, overrides: Sequence[str] = ()
) -> list[Trial]:
    """The rows of a suite at a tier, tables outermost, then methods, axes, seeds and test sets.

    Args:
        suite: the suite.
        tier: one of the tiers it defines.
        methods: specs instead of the suite's own; where it has axes or workloads, which rows: `adam`, `wgan_gp + l1`, `digits/adam`.
        seeds: for every method, instead of the tier's own, of which those that have nothing to train get the first alone.
        overrides: `key=value` for every task and method that has the key, or `method.key=value` or `workload.key=value` for those.

    Raises:
        UsageError: an unknown tier, method, row, key or value.
    """
    if tier not in suite.tiers:
        raise UsageError(f"suite {suite.name!r} has no tier {tier!r}; known: {', '.join(suite.tiers)}")
    tier_config, error_context = suite.tiers[tier], functools.partial(_locate_errors, f"suite {suite.name!r}, tier {tier}")
    chosen = tier_config.seeds if seeds is None else seeds
    with error_context():
        own = _cross_tables(suite, _axes_by_table(suite, tier_config), len(chosen))
        _check_names(suite, tier_config, own)
        common = _common_task_options(suite.tables, tier_config.task)
    rows = _select_rows(suite, own, methods) if methods else own
    given, trials = grid.assign_overrides(overrides, rows), list[Trial]()
    with error_context():
        asked = [t for t in suite.tables if (t.name, "") in given]
        tasks = {t.name: _tasks_of(t, common[t.name] | _override_of(tier_config, t).task | given[t.name, ""]) for t in asked}
    for row in rows:
        of_command_line = _options_for(suite, row, given)
        evaluations = _override_of(tier_config, row.table).evaluations or tier_config.evaluations
        with error_context():
            spec = check_method(_method_of(row, tier_config, of_command_line))
        label, drawn = grid.label_of(row, of_command_line), chosen if seeds is not None or _is_trained(spec) else chosen[:1]
        trials += [
            Trial(suite.name, task, label, spec, seed, tier, evaluations, "/".join(filter(None, (row.table.name, test))), test)
            for seed in drawn for test, task in tasks[row.table.name]
        ]  # fmt: skip
    _reject_duplicates(suite, trials)
    return trials


def _select_rows(suite: Suite, rows: Sequence[grid.Row], methods: Sequence[str]) -> list[grid.Row]:
    """The rows that are named; of a suite that is no grid, rows of the methods that are named, its own or not."""
    if suite.axes or suite.workloads:
        return grid.select_rows(suite, rows, methods)
    return grid.cross(suite, suite.tables[0], methods, {})


def _options_for(suite: Suite, row: grid.Row, given: Mapping[tuple[str, str], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the command line says of the row's method. Raises UsageError where an axis of the suite does."""
    options = given[row.table.name, row.spec.name]
    if fixed := sorted(options.keys() & row.crossed.keys()):
        raise UsageError(f"--set {fixed[0]}: an axis of the suite {suite.name!r}; choose rows by --methods instead")
    return options


def _axes_by_table(suite: Suite, tier_config: Tier) -> dict[str, dict[str, Sequence[Any]]]:
    """Table -> its axes, of the tables that the tier does not skip."""
    overrides = {t.name: _override_of(tier_config, t) for t in suite.tables}
    return {
        t.name: {**suite.axes, **tier_config.axes, **t.axes, **overrides[t.name].axes} for t in suite.tables if not overrides[t.name].skip
    }


def _method_of(row: grid.Row, tier_config: Tier, of_command_line: Mapping[str, Any]) -> Spec:
    """The row's method with its options: the tier's, the suite's, the axes', the command line's, the later before the earlier."""
    known = registry.settings(registry.find("method", row.spec.name))
    defaults = {k: v for k, v in tier_config.hp.items() if k in known} | tier_config.methods.get(row.spec.name, {})
    defaults |= _override_of(tier_config, row.table).hp
    return Spec(row.spec.name, {**defaults, **row.spec.options, **row.crossed, **of_command_line})


def _is_trained(spec: Spec) -> bool:
    """Whether it has updates to make, so that its seed decides what comes of it: not where it has none, or released weights."""
    from bench.method import Method  # brings torch

    return registry.find("method", spec.name).train is not Method.train and not spec.options.get("weights")


def _reject_duplicates(suite: Suite, trials: Sequence[Trial]) -> None:
    """Refuse a trial that is asked for twice, and rows of the same trials: these would be on record once, under one of the names.

    Raises:
        UsageError: there are such.
    """
    count = collections.Counter((_name_of(t), t.seed) for t in trials)
    if twice := [key for key, n in count.items() if n > 1]:
        raise UsageError(f"suite {suite.name!r}: {twice[0][0]} with seed {twice[0][1]} is asked for twice")
    seen: dict[tuple[Any, ...], str] = {}
    for t in (t for t in trials if t.seed == trials[0].seed):  # one of each row
        hp = registry.find("method", t.spec.name).HP(**t.spec.options)
        name = _name_of(t)
        if (other := seen.setdefault((str(t.task), t.spec.name, str(hp), t.evaluations), name)) != name:
            raise UsageError(f"suite {suite.name!r}: {other} and {name} are the same trial: leave one of them out")


def _name_of(trial: Trial) -> str:
    return f"{trial.workload}/{trial.label}".strip("/")


@contextlib.contextmanager
def _locate_errors(where: str) -> Iterator[None]:
    """Put the place of an error before its message."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _cross_tables(suite: Suite, axes: Mapping[str, Mapping[str, Sequence[Any]]], seeds: int = 1) -> list[grid.Row]:
    """The tables (name -> axes) crossed, unless there are more trials than anybody could want: then nothing is made."""
    tables = [t for t in suite.tables if t.name in axes]
    if (n := seeds * sum(grid.count_rows(t.methods, axes[t.name]) for t in tables)) > _MOST:
        raise UsageError(
            f"a grid of {n:,} trials, and {_MOST:,} is the most that can be planned: give fewer values on its axes or fewer seeds"
        )
    return [row for t in tables for row in grid.cross(suite, t, t.methods, axes[t.name])]


def _override_of(tier_config: Tier, table: Table | Workload) -> Override:
    """What a tier says of one table."""
    return tier_config.workloads.get(table.name, Override())


def _check_names(suite: Suite, tier_config: Tier, rows: Sequence[grid.Row]) -> None:
    """What a suite and its tier name must exist somewhere in the grid."""
    for name, options in tier_config.methods.items():
        registry.bind(registry.find("method", name), options, f"method {name!r}")
    known = {key for row in rows for key in registry.settings(registry.find("method", row.spec.name))}
    axes = [suite.axes, tier_config.axes, *(w.axes for w in suite.workloads), *(w.axes for w in tier_config.workloads.values())]
    for keys, what in ((tier_config.hp, "hyper-parameter"), *((a, "axis") for a in axes)):
        if unused := [k for k in keys if k not in known]:
            raise UsageError(f"no method has the {what} {unused[0]!r}")
    if not suite.references:
        return
    labels = {row.label for row in _cross_tables(suite, {t.name: {**suite.axes, **t.axes} for t in suite.tables})}
    if unknown := [r for r in suite.references if r not in labels]:
        raise UsageError(f"the reference {unknown[0]!r} is no row; known: {', '.join(sorted(labels))}")


def _common_task_options(tables: Sequence[Table | Workload], of_tier: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Table -> those of the tier's options for all tasks that its task has (one that no task has is told as its own)."""
    known = {t.name: registry.settings(registry.find("task", parse(t.task).name)) for t in tables}
    somewhere = {key for keys in known.values() for key in keys}
    return {name: {k: v for k, v in of_tier.items() if k in keys or k not in somewhere} for name, keys in known.items()}


def _tasks_of(table: Table | Workload, options: Mapping[str, Any]) -> list[tuple[str, Spec]]:
    """(name of the test set, task) for each that a list of them names; without a list the task is one, and its test set needs no name."""
    tests = {**parse(table.task).options, **options}.get("test")
    if not isinstance(tests, (list, tuple)):
        return [("", _task_with(table, options))]
    specs = [parse(str(test)) for test in tests]
    names = [spec.name if sum(spec.name == other.name for other in specs) == 1 else str(spec) for spec in specs]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"test = {list(tests)}: name at least one test set, and none twice")
    return [(name, _task_with(table, {**options, "test": str(spec)})) for name, spec in zip(names, specs, strict=True)]


def _task_with(table: Table | Workload, options: Mapping[str, Any]) -> Spec:
    """A table's task with options changed."""
    spec = parse(table.task)
    task = Spec(spec.name, {**spec.options, **options})
    registry.bind(registry.find("task", task.name), task.options, f"task {task.name!r}")
    return task
