"""The life of a trial: identity, seed, build, train, evaluate, record. A pure function of (trial, data) but for the clock."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from bench import registry, stream, training
from bench.cards import Card
from bench.codehash import code_hash
from bench.errors import Unavailable, UsageError
from bench.method import Method
from bench.record import CURVES, PER_IMAGE, TrialRecord
from bench.registry import Spec
from bench.stream import Stream
from bench.suite import Trial, parts_of
from bench.task import Scores, Task
from bench.tracking import Store, environment, write_record
from bench.training import Diverged, Plan, Point, Training, Watcher, judging


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where and how trials run."""

    out: Path
    device: torch.device
    data_root: Path | None = None
    max_seconds: float = float("inf")  # training time of one trial
    deterministic: bool = False
    checkpoint_seconds: float = 30.0


class Display(Protocol):
    """Who looks on while a trial runs."""

    def update(self, step: int, images_per_s: float, values: dict[str, float]) -> None:
        """A window of updates is done."""

    def evaluating(self, done: int, total: int) -> None:
        """Pictures judged so far."""


@dataclasses.dataclass(frozen=True)
class _Recorder(Watcher):
    """Shows a training to the user and puts its curves on record."""

    display: Display
    store: Store
    run_id: str

    def update(self, step: int, images_per_s: float, values: dict[str, float]) -> None:
        self.display.update(step, images_per_s, values)

    def curves(self, points: Sequence[Point]) -> None:
        self.store.curves(self.run_id, points)


@functools.lru_cache(maxsize=2)
def open_task(spec: str, root: Path | None, device: torch.device) -> Task:
    """The task with its data attached, shared by the trials of a process."""
    task: Task = registry.make("task", spec)
    task.open(root, device)
    return task


def identify(trial: Trial, task: Task, settings: Settings) -> dict[str, str]:
    """Everything that could change the result, by name; the trial id is its hash."""
    method = registry.find("method", trial.spec.name)
    hp = method.HP(**trial.spec.options)
    used = [*parts_of(hp), *task.parts()]
    parts = {"method": trial.spec.name, "task": trial.task.name, "seed": str(trial.seed), "tier": trial.tier, "evaluations": str(trial.evaluations)}
    parts |= {f"hp.{f.name}": str(getattr(hp, f.name)) for f in dataclasses.fields(hp)}
    parts |= {f"task.{k}": str(v) for k, v in task.options().items()}
    parts |= {f"data.{k}": v for k, v in task.fingerprint().items()}
    parts |= {f"card.{column}": card.hash for column, card in task.cards().items()}
    parts |= {f"code.{kind}.{registry.parse(spec).name}": code_hash(registry.find(kind, registry.parse(spec).name)) for kind, spec in used}
    parts |= {"code.method": code_hash(method), "code.task": code_hash(type(task)), "code.training": code_hash(training)}
    return parts | {
        "device": settings.device.type, "torch": torch.__version__, "max_seconds": str(settings.max_seconds), "deterministic": str(settings.deterministic),
    }  # fmt: skip


def id_of(parts: Mapping[str, str]) -> str:
    """Sixteen hex digits over the parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def run(trial: Trial, settings: Settings, store: Store, display: Display, stopped: Callable[[], bool], *, fresh: bool = False) -> TrialRecord:
    """Train and score one trial, resuming it where an earlier attempt was interrupted (unless `fresh`), and put it on record.

    Raises:
        UsageError: bad input that would spoil every trial (a corrupt picture, a full disk).
        Interrupted: the user asked to stop; the state is saved.
    """
    task = open_task(str(trial.task), settings.data_root, settings.device)
    parts = identify(trial, task, settings)
    record = _blank(trial, task, parts, settings)
    folder = settings.out / trial.suite / "trials" / record.trial_id
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    run_id = store.begin(record.trial_id, f"{trial.label} seed {trial.seed}", _tags(record), record.params)
    results = folder / "record"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    plan = Plan(folder, trial.evaluations, task.ranked_by().higher_is_better, settings.max_seconds, settings.checkpoint_seconds)
    try:
        _live(trial, task, plan, record, results, _Recorder(display, store, run_id), stopped)
    except Diverged as error:
        record.outcome, record.reason = "diverged", str(error)
        record.summary["diverged_step"] = float(error.step)
    except Unavailable as error:
        record.outcome, record.reason = "skipped", str(error)
    except torch.OutOfMemoryError as error:
        record.outcome, record.reason = "failed", _out_of_memory(error, record)
    except (training.Interrupted, UsageError):
        raise
    except Exception as error:
        record.outcome, record.reason = "failed", f"{type(error).__name__}: {error}".splitlines()[0]
        (results / "traceback.txt").write_text(traceback.format_exc())
    write_record(record, results)
    store.curves(run_id, [tuple(row) for row in record.curves.itertuples(index=False)])
    store.finish(run_id, record, results)
    for leftover in folder.glob("*.safetensors"):
        leftover.unlink()
    return record


def build(trial: Trial, task: Task) -> Method:
    """The method under its seed, on the task's device.

    Raises:
        Unavailable: the task lacks what the method needs, or a weight is missing.
    """
    cls = registry.find("method", trial.spec.name)
    if missing := sorted(cls.needs - task.offers):
        raise Unavailable(f"{trial.spec.name} needs {', '.join(missing)}, which {trial.task} does not offer")
    if not hasattr(cls, task.verb):
        raise Unavailable(f"{trial.spec.name} cannot {task.verb}, which the task {trial.task.name} asks for")
    torch.manual_seed(stream.mix(trial.seed))
    with torch.device(task.device):
        return cls(task, **trial.spec.options)  # type: ignore[no-any-return]


def _live(trial: Trial, task: Task, plan: Plan, record: TrialRecord, results: Path, watcher: _Recorder, stopped: Callable[[], bool]) -> None:
    """Train, judge the last weights and the best ones, measure costs, keep pictures and weights: all into `record` and `results`."""
    method = build(trial, task)
    batches = Stream(task, trial.seed, getattr(method.hp, "batch_size", 1))
    run = Training(method, batches, lambda: task.validate(method), plan, watcher)
    try:
        if run.steps:
            run.run(stopped)
            record.costs |= {"train_seconds": run.spent, "images_per_s": run.points[-1][2] / max(run.spent, 1e-9)}
            _save_weights(method, results / "weights.safetensors")
    finally:
        record.curves = _frame(run.points, CURVES)
        record.summary |= {"steps": float(method.t), **run.summary()}
        record.tags |= {"capped": f"training stopped after {plan.max_seconds:g} s"} if run.capped else {}
    scores = _judge(task, method, watcher.display, stopped)
    record.final, record.summary = scores.values, {**record.summary, **scores.summary}
    record.per_image = _frame(
        [(c, name, v) for c, (names, values) in scores.per_image.items() for name, v in zip(names, values, strict=True)], PER_IMAGE
    )
    with judging(method):
        record.costs |= _costs(method, task)
        (results / "gallery").mkdir()
        task.gallery(method, results / "gallery")
    record.best = record.final
    if run.history and run.best_step() != method.t:
        run.load_best()
        record.best = _judge(task, method, watcher.display, stopped).values


def _judge(task: Task, method: Method, display: Display, stopped: Callable[[], bool]) -> Scores:
    def progress(done: int, total: int) -> None:
        display.evaluating(done, total)
        if stopped():
            raise training.Interrupted

    with judging(method):
        return task.score(method, progress)


_COSTS = {"ms_per_image": "time", "megapixels_per_s": "throughput", "peak_memory_mb": "memory", "parameters": "parameters", "gflops": "flops"}


def _costs(method: Method, task: Task) -> dict[str, float]:
    """What using the trained method costs; the harness measures it, whatever the task."""
    with torch.device(task.device):
        costs = {column: float(registry.make("metric", name)(method, task.sample())) for column, name in _COSTS.items()}
    return {column: value for column, value in costs.items() if math.isfinite(value)}


def _cost_cards(task: Task) -> dict[str, Card]:
    with torch.device(task.device):
        return {column: registry.make("metric", name).card() for column, name in _COSTS.items()}


def _blank(trial: Trial, task: Task, parts: dict[str, str], settings: Settings) -> TrialRecord:
    method = registry.find("method", trial.spec.name)
    hp = {k.removeprefix("hp."): v for k, v in parts.items() if k.startswith("hp.")}
    tags = dict(task.remarks())
    if "psf" in method.needs:
        tags["oracle"] = "PSF"
    return TrialRecord(
        suite=trial.suite, task=str(trial.task), label=trial.label, spec=str(Spec(trial.spec.name, hp)), seed=trial.seed, tier=trial.tier,
        trial_id=id_of(parts), outcome="finished", params=hp, parts=parts, tags=tags,
        cards={column: card.to_json() for column, card in {**task.cards(), **_cost_cards(task)}.items()}, environment=environment(str(settings.device)),
    )  # fmt: skip


def _tags(record: TrialRecord) -> dict[str, str]:
    env = record.environment
    row = {k: v for k, v in record.parts.items() if k != "seed"}
    protocol = {k: v for k, v in row.items() if k.split(".")[0] in ("task", "data", "card", "tier") or k == "code.task"}
    return {
        "suite": record.suite, "task": record.task, "label": record.label, "spec": record.spec, "seed": str(record.seed), "tier": record.tier,
        "device": env["device"], "git": env["git"], "row": id_of(row), "protocol": id_of(protocol),
    }  # fmt: skip


def _frame(rows: Any, columns: tuple[str, ...]) -> Any:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))


def _save_weights(method: Method, path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {f"{name}.{key}": value.cpu().contiguous() for name, net in method.networks().items() for key, value in net.state_dict().items()}
    save_file(tensors, path, metadata={"method": type(method).__name__})


def _out_of_memory(error: Exception, record: TrialRecord) -> str:
    sizes = ", ".join(f"{k}={v}" for k, v in record.params.items() if k in ("batch_size", "ngf", "width"))
    return f"out of GPU memory ({str(error).splitlines()[0]}) with {sizes}: lower it with --set batch_size=... or --set crop=..."
