"""What a suite file may say. Strict: an unknown key or a value of the wrong kind is an error that names the known ones."""

from __future__ import annotations

import collections
import re
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

TierName = Literal["smoke", "quick", "standard", "paper"]
TIERS: tuple[TierName, ...] = ("smoke", "quick", "standard", "paper")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = list[Seed]
Axis = Annotated[list[str | int | float | bool], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Space(_Strict):
    """Where a family of rules is searched: every option log-uniform between its bounds."""

    rules: list[str]
    ranges: dict[str, tuple[Positive, Positive]] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_order(self) -> Space:
        if wrong := [k for k, (low, high) in self.ranges.items() if not low < high]:
            raise ValueError(f"ranges.{wrong[0]} must be [low, high] with low < high")
        return self


class Tuning(_Strict):
    """How the rows of a suite come by the settings of one of their parts, all on the same budget. See `bench.scheduling.tuning`."""

    rule: Literal["oneshot", "fixed", "quasirandom", "optuna"] = "oneshot"
    option: str = "optimizer"  # the hyper-parameter whose part is tuned
    trials: Count = 5  # a study
    studies: Count = 3
    seed: Seed = 1000  # study j trains under seed + j
    spaces: dict[Name, Space] = {}  # quasirandom, optuna: one a family
    fixed: dict[str, dict[str, Any]] = {}  # fixed: "rule", "method/rule" or "workload/rule" -> its options

    @property
    def searches(self) -> bool:
        """Whether settings are found by trials."""
        return self.rule in ("quasirandom", "optuna")

    @model_validator(mode="after")
    def _check_rule(self) -> Tuning:
        if self.searches and not self.spaces:
            raise ValueError(f"the rule {self.rule} needs spaces: [tuning.spaces.NAME] with rules and ranges")
        if self.rule == "fixed" and not self.fixed:
            raise ValueError("the rule fixed needs the options: [tuning.fixed] with rule = { option = value }")
        if len({len(s.ranges) for s in self.spaces.values()}) > 1:
            raise ValueError("every space must have as many ranges as the others: equal trials are an equal budget only then")
        if twice := _duplicates(rule for s in self.spaces.values() for rule in s.rules):
            raise ValueError(f"{twice[0]!r} stands in two spaces")
        return self


class Sensitivity(_Strict):
    """How a score depends on one option of a part: a logarithmic grid of its values, trained beside the rows."""

    rules: list[str]  # none: nothing is trained
    workloads: list[str] = []  # all where empty
    option: str = "optimizer"  # the hyper-parameter whose part is varied
    key: str = "lr"  # the part's option
    low: Positive = 1e-5
    high: Positive = 1e1
    per_decade: Annotated[int, Field(ge=1, le=100)] = 2
    seeds: Seeds = [0, 1, 2]

    @model_validator(mode="after")
    def _check_order(self) -> Sensitivity:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
        return self


class Workload(_Strict):
    """One table of a report: a task, the method that works on it or several, the column that ranks."""

    name: Name
    task: str
    method: str = ""  # the only one: its rows are named by what the axes change
    methods: list[str] = []
    sort: str
    headline: list[str] = []
    axes: dict[str, Axis] = {}  # in place of the suite's of that name

    @model_validator(mode="before")
    @classmethod
    def _list_methods(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("method", ""), str):
            return data  # told below
        if bool(data.get("method")) == bool(data.get("methods")):
            raise ValueError("give a method, or a list of methods")
        return {"methods": [data["method"]], **data} if data.get("method") else data


class Override(_Strict):
    """What a tier changes for one workload."""

    skip: bool = False
    evaluations: Count | None = None
    axes: dict[str, Axis] = {}  # in place of the workload's of that name
    task: dict[str, Any] = {}
    hp: dict[str, Any] = {}


class Tier(_Strict):
    """How much compute a suite spends: what it overrides in the tasks, in the methods and in the grid."""

    axes: dict[str, Axis] = {}  # in place of the suite's of that name
    tuning: Tuning | None = None  # keys that are not given are the suite's; the same for `sensitivity`
    sensitivity: Sensitivity | None = None
    workloads: dict[str, Override] = {}  # by name
    seeds: Seeds = [0]
    precision: Literal["fp32", "tf32", "bf16"] | None = None  # of networks in training; None: what the device does by itself
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    gpus: Positive | None = (
        None  # that a trial takes where Ray hands them out: small networks share one; None: measured, see `bench.scheduling.gpu_share`
    )
    alone: bool = False  # times are what this suite is about: under Ray each trial has a node to itself
    evaluations: Count = 5  # on the validation split, evenly spaced over training
    task: dict[str, Any] = {}  # for every task that has the key
    hp: dict[str, Any] = {}  # for every method that has the key
    methods: dict[str, dict[str, Any]] = {}  # for one method, by file name


class Table(_Strict):
    """A suite without workloads has one of these, without a name."""

    name: str = ""
    task: str
    methods: list[str]
    sort: str
    headline: list[str] = []
    axes: dict[str, Axis] = {}


class Suite(_Strict):
    """A grid of trials and the tables it yields: methods on one task, or workloads; both may be crossed with axes."""

    name: str  # of its folder and of its experiment; the file's where it says none
    title: str
    task: str = ""
    sort: str = ""  # the column that ranks
    headline: list[str] = []  # the columns that the terminal shows; the report shows all
    axes: dict[str, Axis] = {}  # hyper-parameter -> its values; methods that have it are crossed with them
    workloads: list[Workload] = []
    references: list[str] = []  # the rows whose best is the target of a workload
    tuning: Tuning | None = None
    sensitivity: Sensitivity | None = None
    methods: list[str] = []
    published: Annotated[str, Field(pattern=r"^\w*$")] = ""  # file in reports/published
    tiers: dict[TierName, Tier] = Field(min_length=1)

    @property
    def tables(self) -> list[Table | Workload]:
        """What the report shows, one leaderboard each."""
        return list(self.workloads) or [Table(task=self.task, methods=self.methods, sort=self.sort, headline=self.headline)]

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w .+-]{0,59}", name) or name in _TAKEN:
            raise ValueError(
                f"{name!r} cannot name the suite's folder: give name = ... of at most 60 letters, digits, spaces and _.+-,"
                f" the first a letter or digit, and none of {', '.join(_TAKEN)}"
            )
        return name

    @field_validator("title")
    @classmethod
    def _check_title(cls, title: str) -> str:
        if not (title.isprintable() and 0 < len(title) <= 200):
            raise ValueError("must be one printable line of at most 200 characters")
        return title

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, data: Any) -> Any:
        """A tier's `tuning` and `sensitivity` stand on the suite's."""
        tiers = data.get("tiers")
        if not isinstance(tiers, dict) or not all(isinstance(t, dict) for t in tiers.values()):
            return data  # told below
        common = {k: v for k in ("tuning", "sensitivity") if isinstance(v := data.get(k), dict)}
        return data | {"tiers": {name: {**tier, **_merge_options(common, tier)} for name, tier in tiers.items()}}

    @model_validator(mode="after")
    def _check_suite(self) -> Suite:
        alone = {"task": self.task, "sort": self.sort, "methods": self.methods}
        if self.workloads and any(alone.values()):
            raise ValueError(f"{next(k for k, v in alone.items() if v)} and [[workloads]] exclude each other")
        if not self.workloads and (missing := [k for k, v in alone.items() if not v]):
            raise ValueError(f"{missing[0]} is missing: give task, sort and methods, or [[workloads]]")
        names = [w.name for w in self.workloads]
        if twice := _duplicates(names):
            raise ValueError(f"two workloads are called {twice[0]!r}")
        for tier, level in self.tiers.items():
            named = {
                f"tiers.{tier}.workloads": level.workloads,
                f"tiers.{tier}.sensitivity.workloads": getattr(level.sensitivity, "workloads", []),
            }
            for where, chosen in named.items():
                if unknown := sorted(set(chosen) - set(names)):
                    raise ValueError(f"{where}: unknown workload {unknown[0]!r}; known: {', '.join(names) or 'none'}")
        return self


_TAKEN = ("claims", "artifacts", "mlflow.db")  # what else lies beside the folders of suites


def _duplicates(names: Iterable[str]) -> list[str]:
    return [name for name, n in collections.Counter(names).items() if n > 1]


def _merge_options(common: dict[str, dict[str, Any]], own: dict[str, Any]) -> dict[str, Any]:
    return {k: {**v, **own[k]} if isinstance(own.get(k), dict) else own.get(k, v) for k, v in common.items()}


def explain(error: ValidationError) -> str:
    """The first error in one line; an unknown key comes with the known ones."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("str", "int", "float", "bool"))  # one kind of several tried
    if first["type"] != "extra_forbidden":
        said = first["msg"].removeprefix("Value error, ")
        return f"{where}: {said}" if where else said
    model: type[BaseModel] = Suite
    for part in first["loc"][:-1]:
        if part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return f"unknown key {where!r}; known: {', '.join(model.model_fields)}"


def _model_in(hint: Any) -> type[BaseModel] | None:
    """The model that a type holds: list[Workload], dict[str, Tier], Tuning | None."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    return next((model for inner in typing.get_args(hint) if (model := _model_in(inner))), None)
