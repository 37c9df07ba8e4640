"""One attempt at a training: build, train, keep the weights."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bench.analysis import gradient_noise
from bench.evaluation import evaluation_mode
from bench.external.weights import digest
from bench.judging.judge import BEST, LAST, weights_file
from bench.method import Method
from bench.running.settings import Settings
from bench.spec import Spec
from bench.store import checkpoint
from bench.store.run_dir import RunDir
from bench.store.stored import CURVES, Training
from bench.suites.trial import Trial
from bench.task import Task
from bench.training import accumulation, data_parallel, out_of_memory
from bench.training.build import build
from bench.training.compute import why_eager
from bench.training.loop import Plan
from bench.training.loop import Training as Loop
from bench.training.outcome import outcome_of
from bench.training.progress import Progress
from bench.training.read_ahead import stream_of


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One attempt at a training; its results go into `record` and the files beside it.

    Attributes:
        keep_checkpoint: called with every checkpoint that is written.
    """

    trial: Trial
    task: Task
    settings: Settings
    record: Training
    folder: RunDir
    keep_checkpoint: Callable[[Path], None]
    progress: Progress
    stopped: Callable[[], bool]

    def run(self) -> None:
        """Build and train, afresh where a checkpoint is damaged; a divergence, a missing weight or an error is an outcome with its reason.

        Raises:
            UsageError: bad input that would spoil every trial (a corrupt picture, a full disk).
            Interrupted: the user asked to stop; the state is saved.
        """
        shutil.rmtree(self.folder.results, ignore_errors=True)
        self.folder.results.mkdir(parents=True)
        with outcome_of(self.record, self.folder.results, self.record.params, self.settings.on_oom):
            try:
                self._train()
            except checkpoint.CorruptCheckpoint:
                self._reset_checkpoints()
                self.record.tags["restarted"] = "its checkpoint was damaged, so training began afresh"
                self._train()
            except Exception as error:
                if not self.settings.compute.compile or not (why := why_eager(error)):
                    raise
                self._train_eagerly(why)

    def _train_eagerly(self, why: str) -> None:
        """Train afresh without compilation."""
        self._reset_checkpoints()
        self.record.tags["compile"] = f"not compiled, trained eagerly: {why}"
        eager = dataclasses.replace(self.settings.compute, compile=False)
        dataclasses.replace(self, settings=dataclasses.replace(self.settings, compute=eager))._train()

    def _reset_checkpoints(self) -> None:
        """Delete the checkpoints: training begins afresh."""
        for file in self.folder.path.rglob("*.safetensors*"):
            file.unlink()

    def _train(self) -> None:
        """Build and train; where memory runs out and `on_oom` says so, again from the first update on smaller micro-batches."""
        batch, before = int(self.record.params.get("batch_size", 1)), (self.record.summary, self.record.costs)

        def train(size: int, folder: Path) -> None:
            self.record.summary, self.record.costs = map(dict, before)
            self._train_on(size, batch, folder)

        out_of_memory.retry_with_smaller_batch(train, batch, self.folder.path, self.settings.on_oom)

    def _train_on(self, size: int, batch: int, folder: Path) -> None:
        """Build and train on micro-batches of a size that divides the batch, with checkpoints in `folder`; keep the weights."""
        method = self._build(size, batch // size)
        is_row = self.trial.role == "row"  # of the others nothing is judged but in validation
        if is_row:
            self.record.summary |= gradient_noise.measure(method, self.trial.seed, "start")
        with contextlib.closing(stream_of(self.task, self.trial.seed, size, self.settings.threads)) as stream:
            graphed = self.settings.compute.graphed(method, stream)
            loop = Loop(method, stream, lambda: self._validate(method), self._plan(folder), self.progress, graphed)
            if loop.steps:
                self._run_loop(loop, method)
        if graphed:
            self.record.tags["cuda_graphs"] = graphed.note()
        if is_row:
            with out_of_memory.evaluation_memory_guard():
                self._conclude(loop, method)

    def _conclude(self, loop: Loop, method: Method) -> None:
        """Keep the weights, and what can be seen of a training only now."""
        if loop.steps:
            self._keep_weights(loop, method)
        self.record.summary |= gradient_noise.measure(method, self.trial.seed, "end")
        (gallery := self.folder.results / "gallery").mkdir(exist_ok=True)
        with evaluation_mode(method):
            self.task.portray_training(method, gallery)

    def _build(self, size: int, micro_batches: int) -> Method:
        compute = self.settings.compute
        if micro_batches == 1:
            return compute.apply(build(self.trial, self.task))
        self.record.tags["on_oom"] = (
            f"batch of {size * micro_batches} as {micro_batches} x {size}: out of GPU memory; batch statistics are those of {size}"
        )
        spec = Spec(self.trial.spec.name, {**self.trial.spec.options, "batch_size": size})
        accumulation.accumulate(method := compute.apply(build(dataclasses.replace(self.trial, spec=spec), self.task)), micro_batches)
        return method

    def _validate(self, method: Method) -> dict[str, float]:
        with out_of_memory.evaluation_memory_guard():
            return self.task.validate(method)

    def _plan(self, folder: Path) -> Plan:
        better, settings = self.task.ranked_by().higher_is_better, self.settings
        others = {column: card.higher_is_better for column, card in self.task.cards().items()}
        return Plan(folder, self.trial.evaluations, better, settings.max_seconds, settings.checkpoint_seconds, self.keep_checkpoint, others)

    def _run_loop(self, loop: Loop, method: Method) -> None:
        if self.settings.ranks > 1:
            data_parallel.lead(method)
        try:
            with self.settings.compute.running(self.settings.device):
                loop.run(self.stopped)
        finally:
            self.record.curves = pd.DataFrame(loop.points, columns=list(CURVES))
            self.record.summary |= {"steps": float(method.t), **loop.summary(), **method.extra_metrics()}
            self.record.costs |= {"train_seconds": loop.spent, "images_per_s": loop.images / max(loop.spent, 1e-9)}
        if loop.capped:
            self.record.tags["capped"] = f"training stopped after {self.settings.max_seconds:g} s"

    def _keep_weights(self, loop: Loop, method: Method) -> None:
        """Keep the last weights, and those that were best on validation where they are others."""
        self._save_weights(LAST, method)
        if loop.history and loop.best_step() != method.t:
            last = method.state()
            loop.load_best()
            self._save_weights(BEST, method)
            method.load_state(last)

    def _save_weights(self, name: str, method: Method) -> None:
        checkpoint.save(file := weights_file(self.folder, name), {"method": method.weights()})
        self.record.weights[name] = digest(file)
