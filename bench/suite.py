"""Suite files (TOML) -> a grid of trials. Strict: an unknown key, name or value is an error that names the known ones."""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.registry import ROOT, Spec

TierName = Literal["smoke", "quick", "standard", "paper"]
TIERS: tuple[TierName, ...] = ("smoke", "quick", "standard", "paper")
SUITES = ROOT / "bench" / "suites"
CLAIMS, CLAIMS_TITLE = "claims", "Does the theory in the papers hold?"  # the suite that is no grid of trials: see `bench.theory`


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tier(_Strict):
    """How much compute a suite spends: what it overrides in the task and in the methods."""

    seeds: list[Annotated[int, Field(ge=0)]] = [0]
    evaluations: int = Field(5, ge=1)  # on the validation split, evenly spaced over training
    task: dict[str, Any] = {}
    hp: dict[str, Any] = {}  # for every method that has the key
    methods: dict[str, dict[str, Any]] = {}  # for one method, by file name


class Suite(_Strict):
    """A grid of trials and the table it yields."""

    name: str
    title: str
    task: str
    sort: str  # the column that ranks
    headline: list[str] = []  # the columns that the terminal shows; the report shows all
    methods: list[str]
    published: str = ""  # file in reports/published
    tiers: dict[TierName, Tier]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One method on one task with one seed at one tier. `spec` holds every hyper-parameter that differs from the paper's."""

    suite: str
    task: Spec
    label: str
    spec: Spec
    seed: int
    tier: str
    evaluations: int

    @property
    def steps(self) -> int:
        """Updates to train for; 0 for a method that needs no training."""
        return int(getattr(registry.find("method", self.spec.name).HP(**self.spec.options), "steps", 0))


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
        raise UsageError(f"{path}: {_explain(error)}") from error


def expand(
    suite: Suite, tier: TierName, *, methods: Sequence[str] = (), seeds: Sequence[int] | None = None, overrides: Sequence[str] = ()
) -> list[Trial]:
    """The trials of a suite at a tier, methods outermost.

    Args:
        suite: the suite.
        tier: one of the tiers it defines.
        methods: specs to run instead of the suite's own.
        seeds: instead of the tier's own.
        overrides: `key=value` for the task or for every method that has the key, or `method.key=value` for one.

    Raises:
        UsageError: an unknown tier, method, key or value.
    """
    if tier not in suite.tiers:
        raise UsageError(f"suite {suite.name!r} has no tier {tier!r}; known: {', '.join(suite.tiers)}")
    level = suite.tiers[tier]
    rows = [registry.parse(text) for text in methods or suite.methods]
    task_spec = registry.parse(suite.task)
    known_task = registry.settings(registry.find("task", task_spec.name))
    known = {row.name: registry.settings(registry.find("method", row.name)) for row in rows}
    for name, options in level.methods.items():
        registry.bind(registry.find("method", name), options, f"suite {suite.name!r}, tier {tier}, method {name!r}")
    unused = [k for k in level.hp if not any(k in registry.settings(registry.find("method", registry.parse(m).name)) for m in suite.methods)]
    if unused:
        raise UsageError(f"suite {suite.name!r}, tier {tier}: no method has the hyper-parameter {unused[0]!r}")
    task_set, method_set = _sort_overrides(overrides, known_task, known)
    task = Spec(task_spec.name, {**task_spec.options, **level.task, **task_set})
    registry.bind(registry.find("task", task.name), task.options, f"task {task}")
    trials = []
    for row in rows:
        defaults = {k: v for k, v in level.hp.items() if k in known[row.name]} | level.methods.get(row.name, {})
        label = Spec(row.name, {**row.options, **method_set[row.name]})
        spec = check_method(Spec(row.name, {**defaults, **label.options}))
        chosen = level.seeds if seeds is None else seeds
        trials += [Trial(suite.name, task, str(label), spec, seed, tier, level.evaluations) for seed in chosen]
    rows_and_seeds = [(trial.label, trial.seed) for trial in trials]
    if twice := [row for row in rows_and_seeds if rows_and_seeds.count(row) > 1]:
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
    return [(kind, v) for k, v in values.items() if (kind := k.partition("_")[0]) in registry.FOLDERS and isinstance(v, str) and v]


def _sort_overrides(
    overrides: Sequence[str], task: dict[str, Any], methods: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    for_task: dict[str, Any] = {}
    for_method: dict[str, dict[str, Any]] = {name: {} for name in methods}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r}: write key=value or method.key=value")
        name, dot, inner = key.strip().rpartition(".")
        takers = [m for m in methods if inner in methods[m] and name in ("", m)]
        if not dot and inner in task:
            for_task[inner] = registry.value_of(value)
        for taker in takers:
            for_method[taker][inner] = registry.value_of(value)
        if not takers and (dot or inner not in task):
            keys = sorted({*task, *(k for m in methods.values() for k in m)}) if not dot else sorted(methods.get(name, methods))
            raise UsageError(f"--set {key.strip()}: no such key; known: {', '.join(keys)}")
    return for_task, for_method


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}"
    model: type[BaseModel] = Suite if len(first["loc"]) == 1 else Tier
    return f"unknown key {where!r}; known: {', '.join(model.model_fields)}"
