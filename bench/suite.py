"""Suite files (TOML) -> a grid of trials. Strict: an unknown key, name or value is an error that names the known ones."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import inspect
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench import grid, registry
from bench.errors import Unavailable, UsageError
from bench.registry import ROOT, Spec
from bench.schema import Override, Suite, Table, Tier, TierName, Workload, explain

SUITES = ROOT / "bench" / "suites"
CLAIMS, CLAIMS_TITLE = "claims", "Does the theory in the papers hold?"  # the suite that is no grid of trials: see `bench.theory`

Role = Literal["row", "tuning", "sensitivity"]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One method on one task with one seed at one tier. `spec` holds every hyper-parameter that differs from the paper's.

    Attributes:
        label: the name of its row; of a trial that tunes or varies a row, that row's.
        workload: the name of its table, where the suite has several.
        role: what it is for; all but rows are scored on the validation split alone.
        tried: of a trial that is no row, what it tries: {"study": 0, "lr": 0.01}.
        plan: the same for a row and the trials that tune and vary it; empty where there are none.
        costs: what finding the row's settings took.
    """

    suite: str
    task: Spec
    label: str
    spec: Spec
    seed: int
    tier: str
    evaluations: int
    workload: str = ""
    role: Role = "row"
    tried: Mapping[str, float] = dataclasses.field(default_factory=dict)
    plan: str = ""
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Updates to train for; 0 for a method that needs no training."""
        return int(getattr(registry.find("method", self.spec.name).HP(**self.spec.options), "steps", 0))

    @property
    def title(self) -> str:
        """Its name among all trials of a run, but for the seed."""
        tried = ", ".join(f"{k} {v:g}" for k, v in self.tried.items())
        return (f"{self.workload}: " if self.workload else "") + self.label + (f" ({self.role}: {tried})" if tried else "")


def names() -> list[str]:
    """The suites that ship with the project."""
    return sorted(p.stem for p in SUITES.glob("*.toml"))


def load(name_or_file: str) -> Suite:
    """Read a suite by name or from a file.

    Raises:
        UsageError: no such suite, no TOML, or an unknown key or value (the message names the known ones).
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = SUITES / f"{name_or_file}.toml"
        if name_or_file not in names():
            raise UsageError(f"unknown suite {name_or_file!r}; known: {', '.join([*names(), CLAIMS])}; or give a .toml file")
    try:
        data = tomllib.loads(path.read_text())
        return Suite.model_validate({"name": path.stem, **data})
    except OSError as error:
        raise UsageError(f"cannot read the suite {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from error


def expand(
    suite: Suite, tier: TierName, *, methods: Sequence[str] = (), seeds: Sequence[int] | None = None, overrides: Sequence[str] = ()
) -> list[Trial]:
    """The rows of a suite at a tier, tables outermost, then methods, axes and seeds.

    Args:
        suite: the suite.
        tier: one of the tiers it defines.
        methods: specs to run instead of the suite's own; where it has axes or workloads, which rows to run: `adam`, `wgan_gp + l1`, `digits/adam`.
        seeds: instead of the tier's own.
        overrides: `key=value` for every task and method that has the key, or `method.key=value` or `workload.key=value` for those.

    Raises:
        UsageError: an unknown tier, method, row, key or value.
    """
    if tier not in suite.tiers:
        raise UsageError(f"suite {suite.name!r} has no tier {tier!r}; known: {', '.join(suite.tiers)}")
    level, where = suite.tiers[tier], f"suite {suite.name!r}, tier {tier}"
    crossed = bool(suite.axes or suite.workloads)
    tables = [t for t in suite.tables if not _own(level, t).skip]
    own = [row for t in tables for row in grid.cross(suite, t, t.methods, {**suite.axes, **level.axes, **t.axes, **_own(level, t).axes})]
    _check_level(suite, level, own, where)
    rows = own if not methods else grid.chosen(suite, own, methods) if crossed else grid.cross(suite, suite.tables[0], methods, {})
    given = grid.overrides(overrides, rows)
    trials = []
    for row in rows:
        change, known = _own(level, row.table), registry.settings(registry.find("method", row.spec.name))
        defaults = {k: v for k, v in level.hp.items() if k in known} | level.methods.get(row.spec.name, {}) | change.hp
        for_task, for_method = given[row.table.name, ""], given[row.table.name, row.spec.name]
        if fixed := sorted(for_method.keys() & row.crossed.keys()):
            raise UsageError(f"--set {fixed[0]}: an axis of the suite {suite.name!r}; choose rows by --methods instead")
        spec = check_method(Spec(row.spec.name, {**defaults, **row.spec.options, **row.crossed, **for_method}))
        task = _task(suite, row.table, level.task, change.task | for_task)
        label = grid.label(row, for_method)
        evaluations = change.evaluations or level.evaluations
        chosen = level.seeds if seeds is None else seeds
        trials += [Trial(suite.name, task, label, spec, seed, tier, evaluations, row.table.name) for seed in chosen]
    count = collections.Counter((f"{t.workload}/{t.label}".strip("/"), t.seed) for t in trials)
    if twice := [name for name, n in count.items() if n > 1]:
        raise UsageError(f"suite {suite.name!r}: {twice[0][0]} with seed {twice[0][1]} is asked for twice")
    return trials


def check_method(spec: Spec) -> Spec:
    """Check a method's options, those of the parts it names included; returns the spec with converted values.

    Raises:
        UsageError: an unknown method, part, option or value.
    """
    method = registry.find("method", spec.name)
    options = registry.bind(method, spec.options, f"method {spec.name!r}")
    try:
        hp = method.HP(**options)
    except ValueError as error:
        raise UsageError(f"method {spec}: {error}") from error
    for kind, part in parts_of(hp):
        with contextlib.suppress(Unavailable):  # a missing weight skips the trial when its turn comes
            registry.make(kind, part)
    return Spec(spec.name, options)


def parts_of(hp: Any) -> list[tuple[str, str]]:
    """(kind, spec) of every part that hyper-parameters name: `optimizer`, `optimizer_g`, `adversarial`, ...; an empty string names none."""
    values = {f.name: getattr(hp, f.name) for f in dataclasses.fields(hp)}
    return [(kind, v) for k, v in values.items() if (kind := grid.kind_of(k)) in registry.FOLDERS and isinstance(v, str) and v]


def unfolded(parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The parts (kind, spec), each followed by those that its own options name, defaults included, at any depth.

    An option names a part if it is called after a kind (`detection[detector=yolo]`) or holds one of the kind that has it (`warmup[then=cosine]`).
    """
    for kind, text in parts:
        yield kind, text
        spec = registry.parse(text)
        part = registry.find(kind, spec.name)
        defaults = {p.name: p.default for p in inspect.signature(getattr(part, "HP", part)).parameters.values()}
        values = {k: v for k, v in {**defaults, **spec.options}.items() if isinstance(v, str) and v}
        yield from unfolded((known, v) for k, v in values.items() for known in {grid.kind_of(k), kind} if _is_part(known, v))


def _is_part(kind: str, text: str) -> bool:
    try:
        return kind in registry.FOLDERS and registry.parse(text).name in registry.names(kind)
    except UsageError:  # any other text
        return False


def _own(level: Tier, table: Table | Workload) -> Override:
    """What a tier says of one table."""
    return level.workloads.get(table.name, Override())


def _check_level(suite: Suite, level: Tier, rows: Sequence[grid.Row], where: str) -> None:
    """What a suite and its tier name must exist somewhere in the grid."""
    for name, options in level.methods.items():
        registry.bind(registry.find("method", name), options, f"{where}, method {name!r}")
    known = {key for row in rows for key in registry.settings(registry.find("method", row.spec.name))}
    axes = [suite.axes, level.axes, *(w.axes for w in suite.workloads), *(w.axes for w in level.workloads.values())]
    for keys, what in ((level.hp, "hyper-parameter"), *((a, "axis") for a in axes)):
        if unused := [k for k in keys if k not in known]:
            raise UsageError(f"{where}: no method has the {what} {unused[0]!r}")
    labels = {r.label for table in suite.tables for r in grid.cross(suite, table, table.methods, {**suite.axes, **table.axes})}
    if unknown := [r for r in suite.references if r not in labels]:
        raise UsageError(f"suite {suite.name!r}: the reference {unknown[0]!r} is no row; known: {', '.join(sorted(labels))}")


def _task(suite: Suite, table: Table | Workload, of_tier: Mapping[str, Any], own: Mapping[str, Any]) -> Spec:
    """A table's task; of the tier's options for all tasks it takes those it has (one that no task has is told as its own)."""
    spec = registry.parse(table.task)
    known = {t.name: registry.settings(registry.find("task", registry.parse(t.task).name)) for t in suite.tables}
    shared = {k: v for k, v in of_tier.items() if k in known[table.name] or not any(k in keys for keys in known.values())}
    task = Spec(spec.name, {**spec.options, **shared, **own})
    registry.bind(registry.find("task", task.name), task.options, f"task {task}")
    return task
