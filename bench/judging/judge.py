"""What given weights are worth: build the method, put the weights of a training into it, score it on a test set."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import pandas as pd

from bench.evaluation import evaluation_mode
from bench.external.weights import digest
from bench.judging import costs
from bench.judging.saved_outputs import SavesOutputs
from bench.method import Method
from bench.store import checkpoint
from bench.store.run_dir import RunDir
from bench.store.stored import PER_IMAGE, Judgement, Training
from bench.suites.trial import Trial
from bench.task import Scores, Task
from bench.training import out_of_memory
from bench.training.build import build
from bench.training.loop import Interrupted
from bench.training.outcome import outcome_of
from bench.training.progress import Progress

LAST, BEST = "last", "best"
KeepWeights = Literal["both", "last", "none"]


def weights_file(folder: RunDir, name: str) -> Path:
    """Where the weights of a training lie, `LAST` or `BEST`."""
    return folder.results / f"{name}.safetensors"


def what_weights_lack(folder: RunDir, training: Training) -> str:
    """Why a training cannot be judged: its weights are not there, or not to the bit; empty where it can."""
    kept = [name for name in training.weights if weights_file(folder, name).is_file()]
    if training.weights and LAST not in kept:
        return "its weights were not kept"
    whole = all(digest(weights_file(folder, name)) == training.weights[name] for name in kept)
    return "" if whole else "its weights were damaged"


@dataclasses.dataclass(frozen=True)
class Judge:
    """Judges a training: all that comes of it goes into `judgement` and the files beside it."""

    trial: Trial
    task: Task
    training: Training
    folder: RunDir
    judgement: Judgement
    progress: Progress
    stopped: Callable[[], bool]
    save_outputs: bool = False

    def run(self) -> None:
        """Score the last weights, keep pictures and costs of them; score those that were best on validation where they are others.

        A training that came to nothing has nothing to judge; of one that serves a row validation is all that counts.

        Raises:
            UsageError: bad input that would spoil every trial.
            Interrupted: the user asked to stop.
        """
        files = self.folder.judged(self.judgement.id)
        shutil.rmtree(files, ignore_errors=True)
        (files / "gallery").mkdir(parents=True)
        if self.training.outcome == "finished" and self.trial.role == "row":
            with outcome_of(self.judgement, files, self.training.params), out_of_memory.evaluation_memory_guard():
                self._judge(files / "gallery")

    def _judge(self, gallery: Path) -> None:
        method = build(self.trial, self.task)
        self._load(method, LAST)
        scores = self._score_and_save(method) if self.save_outputs else self._score(method, method)
        self.judgement.final = self.judgement.best = scores.values
        self.judgement.summary |= scores.summary
        self.judgement.per_image = pd.DataFrame(scores.rows(), columns=list(PER_IMAGE))
        self.judgement.tags |= _lost_scores(self.judgement.per_image)
        with evaluation_mode(method):
            self.judgement.costs |= costs.measure(method, self.task)
            if (portrayed := self.folder.results / "gallery").is_dir():
                shutil.copytree(portrayed, gallery, dirs_exist_ok=True)
            self.task.gallery(method, gallery)
        if BEST not in self.training.weights:
            return
        if weights_file(self.folder, BEST).is_file():
            self._load(method, BEST)
            self.judgement.best = self._score(method, method).values
        else:
            self.judgement.best = {}
            self.judgement.tags["best"] = "the weights that were best on validation were not kept"

    def _load(self, method: Method, name: str) -> None:
        if name in self.training.weights:
            tree = checkpoint.load(weights_file(self.folder, name))
            method.load_state(checkpoint.to(tree["method"], self.task.device))

    def _score_and_save(self, method: Method) -> Scores:
        saving = SavesOutputs(method, self.folder.judged(self.judgement.id) / "outputs")
        scores = self._score(method, saving)
        saving.close()
        return scores

    def _score(self, method: Method, judged: Method | SavesOutputs) -> Scores:
        def progress(done: int, total: int) -> None:
            self.progress.evaluating(done, total)
            if self.stopped():
                raise Interrupted

        with evaluation_mode(method):
            return self.task.score(cast(Method, judged), progress)


def _lost_scores(per_image: pd.DataFrame) -> dict[str, str]:
    """A note for every column in which images have no score."""
    lost = per_image.assign(lost=per_image["value"].isna()).groupby("column")["lost"].agg(["sum", "size"])
    return {f"not_finite.{column}": f"NaN on {row['sum']} of {row['size']} images" for column, row in lost.iterrows() if row["sum"]}


def drop_weights(folder: RunDir, keep: KeepWeights) -> None:
    """Delete the weights that are not to be kept: `both` are, the `last` alone, or `none`."""
    dropped: dict[KeepWeights, tuple[str, ...]] = {"both": (), "last": (BEST,), "none": (LAST, BEST)}
    for name in dropped[keep]:
        weights_file(folder, name).unlink(missing_ok=True)
