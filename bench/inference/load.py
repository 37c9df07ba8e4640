"""From a name to a method that can be used: a recorded trial at its weights, or a spec with published weights or none."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.external.weights import digest
from bench.method import Method
from bench.spec import Spec, parse
from bench.store import checkpoint, lookup
from bench.store.record import TrialRecord
from bench.suites.components import check_method
from bench.suites.trial import Trial
from bench.task import Task
from bench.training.build import build, open_task

_TASKS = (
    ("denoise[channels=3,crop=256]", "denoise[channels=1,crop=256]"),
    ("sr[scale=4]", "sr[scale=3]", "sr[scale=2]"),
    ("saliency",),
    ("deblur",),
    ("ldct",),
    ("generate",),
)
"""What a spec is built for where no task is given: of the first group that offers what it needs, the first task on which it can be built.
Crops of 256 pixels suit every depth of network; data are opened for the later ones alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a method comes from.

    Attributes:
        label: what it is called. spec, task: as it was built.
        trial, training, suite, tier, seed: of a recorded trial; empty of a spec.
        weights: the sha256 of the file of its weights; empty where it has none.
        scores: column -> test score on record.
        notes: what a user should know before trusting it, one line each.
    """

    label: str
    spec: Spec
    task: str
    trial: str = ""
    training: str = ""
    suite: str = ""
    tier: str = ""
    seed: int = 0
    weights: str = ""
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A method and where it comes from."""

    method: Any
    origin: Origin


def load(
    name: str,
    out: Path = Path("runs"),
    tracking_uri: str | None = None,
    root: Path | None = None,
    device: torch.device | str = "cpu",
    task: str = "",
) -> Method:
    """A method that restores (`restore(Batch(observed))`) or samples (`sample(n)`); use it in `bench.evaluation.evaluation_mode`.

    Args:
        name: a trial's id, its unambiguous beginning or an MLflow run's id; or a spec: "median", "dncnn[weights=net.pth]".
        out: output folder of the trial.
        tracking_uri: the store (default: MLFLOW_TRACKING_URI, else the one in `out`).
        root: folder of data sets: tasks of generation read the shape of their samples there.
        device: where networks lie.
        task: of a spec, what it is built for; empty: the first of the usual tasks that it fits.

    Raises:
        UsageError: no such trial or method, it left no weights, or it was never trained.
        Unavailable: the method needs something that is not on this machine.
    """
    return load_with_origin(name, out, tracking_uri, root, device, task).method  # type: ignore[no-any-return]


def load_with_origin(
    name: str, out: Path, tracking_uri: str | None, root: Path | None, device: torch.device | str, task: str = ""
) -> Loaded:
    """As `load`, with where the method comes from."""
    where = torch.device(device)
    if _names_a_method(name):
        return _from_spec(check_method(parse(name)), task, root, where)
    if not lookup.is_id(name):
        known = f"the methods are {', '.join(registry.names('method'))}"
        raise UsageError(f"{name!r} is neither a trial's id (16 hex digits, or the first 4 or more) nor a method: {known}")
    if task:
        raise UsageError(f"--task {task} is for specs: the trial {name} has its own task")
    with tempfile.TemporaryDirectory() as scratch:
        record = lookup.find(name, out, tracking_uri, Path(scratch))
        weights = lookup.weights(name, out, tracking_uri, Path(scratch))
        spec = parse(record.spec)
        method = _without_missing_loss(lambda spec: rebuild(dataclasses.replace(record, spec=str(spec)), weights, root, where), spec)
        return Loaded(method, _origin_of(record, weights))


def rebuild(record: TrialRecord, weights: Path | None, root: Path | None, device: torch.device) -> Method:
    """The method of a recorded trial at its last weights; its task is `method.task`.

    Args:
        record: see `bench.store.lookup.find`.
        weights: see `bench.store.lookup.weights`.
        root: folder of data sets.
        device: where networks lie.

    Raises:
        UsageError: there are no weights where there should be, or they do not fit the method of today.
    """
    trial = Trial(record.suite, parse(record.task), record.label, check_method(parse(record.spec)), record.seed, record.tier, 1)
    if weights is None and (trial.steps or record.outcome != "finished"):
        raise without_weights(record)
    method = build(trial, open_task(record.task, root, device))
    if weights is not None:
        _put(method, weights, device)
    return method


def _without_missing_loss(make: Callable[[Spec], Method], spec: Spec) -> Method:
    """The method of a spec; where it cannot be had here, with a content loss that needs no file: in use, losses play no part."""
    try:
        return make(spec)
    except Unavailable:
        if "content" not in registry.settings(registry.find("method", spec.name)):
            raise
        return make(Spec(spec.name, {**spec.options, "content": "l1"}))


def without_weights(record: TrialRecord) -> UsageError:
    """The error of a run that left no weights."""
    told = f"it is recorded as {record.outcome} ({record.reason})"
    return UsageError(f"the run of {record.label}, seed {record.seed}, left no weights: {told}")


def _put(method: Method, path: Path, device: torch.device) -> None:
    try:
        method.load_state(checkpoint.to(checkpoint.load(path)["method"], device))
    except (RuntimeError, KeyError, checkpoint.CorruptCheckpoint) as error:
        raise UsageError(
            f"the weights on record do not fit {type(method).__name__}, whose code has changed since: run the trial again"
        ) from error


def _origin_of(record: TrialRecord, weights: Path | None) -> Origin:
    return Origin(
        label=record.label, spec=parse(record.spec), task=record.task, trial=record.trial_id, training=record.training_id,
        suite=record.suite, tier=record.tier, seed=record.seed, weights=digest(weights) if weights else "",
        scores=record.final,
    )  # fmt: skip


# -- specs
def _names_a_method(name: str) -> bool:
    """Whether it is a method's name or spec; what has brackets is meant as one."""
    return "[" in name or name in registry.names("method")


def _from_spec(spec: Spec, task: str, root: Path | None, device: torch.device) -> Loaded:
    cls = registry.find("method", spec.name)
    tasks = (task,) if task else next((group for group in _TASKS if _fits(cls, open_task(group[0], root, device))), ())
    if not tasks:
        needs = f", which needs {', '.join(sorted(cls.needs))}" if cls.needs else ""
        raise UsageError(f"no usual task is for {spec.name}{needs}: name one with --task")
    method, chosen = _first_built(spec, tasks, root, device)
    file = Path(str(getattr(method.hp, "weights", ""))).expanduser()
    origin = Origin(label=str(spec), spec=spec, task=chosen, weights=digest(file) if file.is_file() else "", notes=_untrained(method, spec))
    return Loaded(method, origin)


def _fits(cls: type[Method], task: Task) -> bool:
    return hasattr(cls, task.verb) and cls.needs <= task.offers


def _first_built(spec: Spec, tasks: tuple[str, ...], root: Path | None, device: torch.device) -> tuple[Method, str]:
    """The method on the first task on which it can be built: weights are for a number of channels, or for a scale."""
    errors = []
    for task in tasks:
        opened = open_task(task, root, device)
        trial = Trial("", parse(task), str(spec), spec, 0, "", 1)
        try:
            return _without_missing_loss(lambda spec: build(dataclasses.replace(trial, spec=spec), opened), spec), task  # noqa: B023
        except UsageError as error:
            errors.append(error)
    raise errors[0]


def _untrained(method: Method, spec: Spec) -> tuple[str, ...]:
    """Notes on a method that had nothing to learn from.

    Raises:
        UsageError: it is of no use so.
    """
    steps = next((f.default for f in dataclasses.fields(method.hp) if f.name == "steps"), 0)
    if isinstance(steps, int) and steps > 0 and not getattr(method.hp, "weights", ""):
        weights = " or weights=FILE" if hasattr(method.hp, "weights") else ""
        raise UsageError(f"{spec} is not trained: give the id of a trial{weights}")
    if not hasattr(method, "chosen") or len(method.hp.candidates) < 2:
        return ()
    used = ", ".join(f"{k}={v}" for k, v in dataclasses.asdict(method.chosen).items())
    return (f"{spec} is not tuned: it uses {used}",)
