"""The life of a trial: seed, build, train, evaluate, write its record. A pure function of (trial, data), but for the clock."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
import shutil
import time
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from bench import accumulation, checkpoint, costs, identity, memory, noise, parallel, registry
from bench.environment import environment
from bench.errors import Unavailable, UsageError
from bench.method import Method
from bench.record import CURVES, PER_IMAGE, TrialRecord
from bench.registry import Spec
from bench.rundir import RunDir, RunDirs
from bench.settings import Settings
from bench.stream import Stream, mix
from bench.suite import Trial
from bench.task import Scores, Task
from bench.training import Diverged, Interrupted, Plan, Training, judging
from bench.training import Watcher as TrainingWatcher


class Watcher(TrainingWatcher, Protocol):
    """Who looks on while a trial runs."""

    def started(self) -> None:
        """It runs: nobody else does it, and it is not on record yet."""

    def evaluating(self, done: int, total: int) -> None:
        """Pictures judged so far."""


@functools.lru_cache(maxsize=16)
def open_task(spec: str, root: Path | None, device: torch.device) -> Task:
    """The task with its data attached, shared by the trials of a process."""
    task: Task = registry.make("task", spec)
    task.open(root, device)
    return task


def identify(trial: Trial, settings: Settings) -> dict[str, str]:
    """What decides the result of a trial (see `bench.identity`)."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    return identity.identify(trial, task, settings.means())


def folder_of(trial: Trial, trial_id: str, settings: Settings) -> RunDir:
    """Where a trial runs."""
    return RunDirs(trial.suite, settings.out).of(trial_id)


def run(trial: Trial, settings: Settings, watcher: Watcher, stopped: Callable[[], bool], stale: str | None = None) -> TrialRecord:
    """Train and score one trial, resuming it where an earlier attempt was interrupted, and write its record into its run directory.

    Args:
        trial: the trial.
        settings: where and how.
        watcher: who looks on.
        stopped: whether the user asked to stop.
        stale: the attempt on record that is to be replaced. Any other was made meanwhile, here or elsewhere: it is returned and nothing runs.

    Raises:
        Held: another process runs it.
        UsageError: bad input that would spoil every trial (a corrupt picture, a full disk).
        Interrupted: the user asked to stop; the state is saved.
    """
    task = open_task(str(trial.task), settings.data_root, settings.device)
    record = blank(trial, settings)
    folder = folder_of(trial, record.trial_id, settings)
    with folder.held():
        if (attempt := folder.attempt()) is not None:
            if attempt != stale:
                return folder.read()
            folder.clear()
        watcher.started()
        _Attempt(trial, task, record, folder, watcher, stopped).live(settings)
        record.ended = time.time()
        folder.close(record)
        memory.tidy(folder.path)
    return record


def follow(trial: Trial, settings: Settings) -> None:
    """Train beside the process that runs the trial, on a share of its batches."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    method = build(trial, task)
    parallel.follow(method, Stream(task, trial.seed, getattr(method.hp, "batch_size", 1)))


def give_up(trial: Trial, settings: Settings, reason: str, stale: str | None) -> TrialRecord:
    """Write the record of a trial that killed every process that ran it, unless another one has been written meanwhile."""
    record = blank(trial, settings)
    folder = folder_of(trial, record.trial_id, settings)
    with folder.held():
        if folder.attempt() not in (None, stale):
            return folder.read()
        folder.clear()
        folder.results.mkdir()
        record.outcome, record.reason, record.ended = "failed", reason, time.time()
        folder.close(record)
    return record


def build(trial: Trial, task: Task) -> Method:
    """The method under its seed, on the task's device.

    Raises:
        Unavailable: the task lacks what the method needs, or a weight is missing.
    """
    cls: type[Method] = registry.find("method", trial.spec.name)
    if missing := sorted(cls.needs - task.offers):
        raise Unavailable(f"{trial.spec.name} needs {', '.join(missing)}, which the task does not offer with these data")
    if not hasattr(cls, task.verb):
        raise Unavailable(f"{trial.spec.name} cannot {task.verb}, which the task {trial.task.name} asks for")
    torch.manual_seed(mix(trial.seed))
    with torch.device(task.device):
        return cls(task, **trial.spec.options)


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """A trial on its way: all that happens to it goes into `record` and the files beside it."""

    trial: Trial
    task: Task
    record: TrialRecord
    folder: RunDir
    watcher: Watcher
    stopped: Callable[[], bool]

    def live(self, settings: Settings) -> None:
        """Build, train, judge, afresh where a checkpoint is damaged; a divergence, a missing weight or an error is an outcome with its reason."""
        shutil.rmtree(self.folder.results, ignore_errors=True)
        (self.folder.results / "gallery").mkdir(parents=True)
        try:
            try:
                self._go(settings)
            except checkpoint.Damaged:
                self._forget()
                self._go(settings)
        except (Interrupted, UsageError, parallel.RankLost):
            raise
        except Diverged as error:
            self._end("diverged", str(error))
            self.record.summary["diverged_step"] = float(error.step)
        except Unavailable as error:
            self._end("skipped", str(error))
        except torch.OutOfMemoryError as error:
            self._end("failed", memory.advice(error, self.record.params, settings.on_oom))
        except memory.TooLargeToJudge as error:
            self._end("failed", str(error))
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UsageError(f"no space left for {self.folder.path}: free some or give another --out, then run the same command again") from error
            self._end("failed", f"{type(error).__name__}: {str(error).strip()}".splitlines()[0])
            (self.folder.results / "traceback.txt").write_text(traceback.format_exc())

    def _go(self, settings: Settings) -> None:
        method, run = self._train(settings)
        if self.trial.role == "row":  # the others choose settings: validation is all they may see
            with memory.judged():
                self._score(method, run)

    def _forget(self) -> None:
        """Begin afresh: what a disk damaged in one trial must not stop the others, and the same seed ends with the same bits."""
        for file in self.folder.path.rglob("*.safetensors*"):
            file.unlink()
        self.record.tags["restarted"] = "its checkpoint was damaged, so training began afresh"

    def _train(self, settings: Settings) -> tuple[Method, Training]:
        """Build and train; out of memory, and where `on_oom` says so, again from the first update on smaller micro-batches."""
        batch, before = int(self.record.params.get("batch_size", 1)), (self.record.summary, self.record.costs)

        def train(size: int, folder: Path) -> tuple[Method, Training]:
            self.record.summary, self.record.costs = map(dict, before)
            return self._train_on(size, batch, folder, settings)

        return memory.until_it_fits(train, batch, self.folder.path, settings.on_oom)

    def _train_on(self, size: int, batch: int, folder: Path, settings: Settings) -> tuple[Method, Training]:
        """Build and train on micro-batches of a size that divides the batch, with checkpoints in `folder`."""
        trial, turns = self.trial, batch // size
        if turns > 1:
            what = f"batch of {batch} as {turns} x {size}"
            self.record.tags["on_oom"] = f"{what}: out of GPU memory; batch statistics are those of {size}"
            trial = dataclasses.replace(trial, spec=Spec(trial.spec.name, {**trial.spec.options, "batch_size": size}))
        method = build(trial, self.task)
        if turns > 1:
            accumulation.accumulate(method, turns)
        if self.trial.role == "row":
            self.record.summary |= noise.remarks(method, self.trial.seed, "start")

        def validate() -> dict[str, float]:
            with memory.judged():
                return self.task.validate(method)

        better = self.task.ranked_by().higher_is_better
        plan = Plan(folder, self.trial.evaluations, better, settings.max_seconds, settings.checkpoint_seconds)
        run = Training(method, Stream(self.task, self.trial.seed, size), validate, plan, self.watcher)
        if not run.steps:
            return method, run
        if settings.ranks > 1:
            parallel.lead(method)
        try:
            run.run(self.stopped)
        finally:
            self.record.curves = pd.DataFrame(run.points, columns=list(CURVES))
            self.record.summary |= {"steps": float(method.t), **run.summary(), **method.remarks()}
            self.record.costs |= {"train_seconds": run.spent, "images_per_s": run.images / max(run.spent, 1e-9)}
        if run.capped:
            self.record.tags["capped"] = f"training stopped after {settings.max_seconds:g} s"
        if self.trial.role == "row":
            _save_weights(method, self.folder.results / "weights.safetensors")
        return method, run

    def _score(self, method: Method, run: Training) -> None:
        """Judge the last weights, keep pictures and costs of them; judge those that were best on validation where they are others."""
        scores = self._judge(method)
        self.record.final = self.record.best = scores.values
        self.record.summary |= scores.summary
        rows = [(column, *pair) for column, (names, values) in scores.per_image.items() for pair in zip(names, values, strict=True)]
        self.record.per_image = pd.DataFrame(rows, columns=list(PER_IMAGE))
        self.record.summary |= noise.remarks(method, self.trial.seed, "end")
        with judging(method):
            self.record.costs |= costs.measured(method, self.task)
            self.task.gallery(method, self.folder.results / "gallery")
        if run.history and run.best_step() != method.t:
            run.load_best()
            self.record.best = self._judge(method).values

    def _judge(self, method: Method) -> Scores:
        def progress(done: int, total: int) -> None:
            self.watcher.evaluating(done, total)
            if self.stopped():
                raise Interrupted

        with judging(method):
            return self.task.score(method, progress)

    def _end(self, outcome: Any, reason: str) -> None:
        self.record.outcome, self.record.reason = outcome, "; ".join(filter(None, [reason, self.record.tags.get("on_oom")]))


def blank(trial: Trial, settings: Settings) -> TrialRecord:
    """The record before anything happened."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    method: type[Method] = registry.find("method", trial.spec.name)
    hp = dataclasses.asdict(method.HP(**trial.spec.options))
    parts = identify(trial, settings)
    tags = task.remarks() | ({"oracle": "PSF"} if "psf" in method.needs else {})
    if settings.at_once > 1:
        tags["at_once"] = f"its times were taken while {settings.at_once} trials ran at once"
    return TrialRecord(
        suite=trial.suite,
        task=str(trial.task),
        label=trial.label,
        spec=str(Spec(trial.spec.name, hp)),
        seed=trial.seed,
        tier=trial.tier,
        trial_id=identity.id_of(parts),
        workload=trial.workload,
        role=trial.role,
        tried=dict(trial.tried),
        plan=trial.plan,
        costs=dict(trial.costs),
        outcome="finished",
        params={k: str(v) for k, v in hp.items()},
        parts=parts,
        tags=tags,
        summary={"load_average": os.getloadavg()[0]} if hasattr(os, "getloadavg") else {},  # how far the times can be trusted
        cards={column: card.to_json() for column, card in {**task.cards(), **costs.cards(task)}.items()},
        environment=environment(str(settings.device)),
        attempt=uuid.uuid4().hex,
    )


def _save_weights(method: Method, path: Path) -> None:
    states = {name: network.state_dict() for name, network in method.networks().items()}
    tensors = {f"{name}.{key}": value.cpu().contiguous().clone() for name, state in states.items() for key, value in state.items()}
    checkpoint.write(path, tensors, {"method": type(method).__name__})
