"""One attempt at a trial: build, train, judge. Whatever happens on the way is an outcome with its reason."""

from __future__ import annotations

import dataclasses
import errno
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from bench.analysis import gradient_noise
from bench.errors import Unavailable, UsageError
from bench.evaluation import evaluation_mode
from bench.judging import costs
from bench.method import Method
from bench.running.settings import Settings
from bench.spec import Spec
from bench.store import checkpoint
from bench.store.record import CURVES, PER_IMAGE, TrialRecord
from bench.store.run_dir import RunDir
from bench.stream import Stream
from bench.suites.trial import Trial
from bench.task import Scores, Task
from bench.text import encodable
from bench.training import accumulation, data_parallel, out_of_memory
from bench.training.build import build
from bench.training.loop import Diverged, Interrupted, Plan, Training
from bench.training.loop import Watcher as TrainingWatcher


class Watcher(TrainingWatcher, Protocol):
    """Who looks on while a trial runs."""

    def started(self) -> None:
        """It runs: nobody else does it, and it is not on record yet."""

    def evaluating(self, done: int, total: int) -> None:
        """Pictures judged so far."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A trial on its way: all that happens to it goes into `record` and the files beside it."""

    trial: Trial
    task: Task
    settings: Settings
    record: TrialRecord
    folder: RunDir
    kept: Callable[[Path], None]  # told of every checkpoint that is written
    watcher: Watcher
    stopped: Callable[[], bool]

    def live(self) -> None:
        """Build, train, judge, afresh where a checkpoint is damaged; a divergence, a missing weight or an error is an outcome with its reason."""
        shutil.rmtree(self.folder.results, ignore_errors=True)
        (self.folder.results / "gallery").mkdir(parents=True)
        try:
            try:
                self._go()
            except checkpoint.Damaged:
                self._forget()
                self._go()
        except (Interrupted, UsageError, data_parallel.RankLost):
            raise
        except Diverged as error:
            self._end("diverged", str(error))
            self.record.summary["diverged_step"] = float(error.step)
        except Unavailable as error:
            self._end("skipped", str(error))
        except torch.OutOfMemoryError as error:
            self._end("failed", out_of_memory.advice(error, self.record.params, self.settings.on_oom))
        except out_of_memory.TooLargeToJudge as error:
            self._end("failed", str(error))
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UsageError(f"no space left for {self.folder.path}: free some or give another --out, then run the same command again") from error
            self._end("failed", f"{type(error).__name__}: {str(error).strip()}".splitlines()[0])
            (self.folder.results / "traceback.txt").write_text(traceback.format_exc(), "utf-8", "backslashreplace")

    def _go(self) -> None:
        method, run = self._train()
        if self.trial.role == "row":  # the others choose settings: validation is all they may see
            with out_of_memory.judged():
                self._score(method, run)

    def _forget(self) -> None:
        """Begin afresh: what a disk damaged in one trial must not stop the others, and the same seed ends with the same bits."""
        for file in self.folder.path.rglob("*.safetensors*"):
            file.unlink()
        self.record.tags["restarted"] = "its checkpoint was damaged, so training began afresh"

    def _train(self) -> tuple[Method, Training]:
        """Build and train; out of memory, and where `on_oom` says so, again from the first update on smaller micro-batches."""
        batch, before = int(self.record.params.get("batch_size", 1)), (self.record.summary, self.record.costs)

        def train(size: int, folder: Path) -> tuple[Method, Training]:
            self.record.summary, self.record.costs = map(dict, before)
            return self._train_on(size, batch, folder)

        return out_of_memory.until_it_fits(train, batch, self.folder.path, self.settings.on_oom)

    def _train_on(self, size: int, batch: int, folder: Path) -> tuple[Method, Training]:
        """Build and train on micro-batches of a size that divides the batch, with checkpoints in `folder`."""
        trial, settings, turns = self.trial, self.settings, batch // size
        if turns > 1:
            what = f"batch of {batch} as {turns} x {size}"
            self.record.tags["on_oom"] = f"{what}: out of GPU memory; batch statistics are those of {size}"
            trial = dataclasses.replace(trial, spec=Spec(trial.spec.name, {**trial.spec.options, "batch_size": size}))
        method = build(trial, self.task)
        if turns > 1:
            accumulation.accumulate(method, turns)
        if self.trial.role == "row":
            self.record.summary |= gradient_noise.remarks(method, self.trial.seed, "start")

        def validate() -> dict[str, float]:
            with out_of_memory.judged():
                return self.task.validate(method)

        better, others = self.task.ranked_by().higher_is_better, {column: card.higher_is_better for column, card in self.task.cards().items()}
        plan = Plan(folder, trial.evaluations, better, settings.max_seconds, settings.checkpoint_seconds, self.kept, others)
        run = Training(method, Stream(self.task, self.trial.seed, size), validate, plan, self.watcher)
        if not run.steps:
            return method, run
        if settings.ranks > 1:
            data_parallel.lead(method)
        try:
            run.run(self.stopped)
        finally:
            self.record.curves = pd.DataFrame(run.points, columns=list(CURVES))
            self.record.summary |= {"steps": float(method.t), **run.summary(), **method.extra_metrics()}
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
        self.record.per_image = pd.DataFrame(scores.rows(), columns=list(PER_IMAGE))
        self.record.summary |= gradient_noise.remarks(method, self.trial.seed, "end")
        with evaluation_mode(method):
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

        with evaluation_mode(method):
            return self.task.score(method, progress)

    def _end(self, outcome: Any, reason: str) -> None:
        self.record.outcome, self.record.reason = outcome, encodable("; ".join(filter(None, [reason, self.record.tags.get("on_oom")])))


def _save_weights(method: Method, path: Path) -> None:
    states = {name: network.state_dict() for name, network in method.networks().items()}
    tensors = {f"{name}.{key}": value.cpu().contiguous().clone() for name, state in states.items() for key, value in state.items()}
    checkpoint.write(path, tensors, {"method": type(method).__name__})
