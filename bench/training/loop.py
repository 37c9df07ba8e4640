"""Training under a budget: the one `for` over a method's `train`, with curves, validation, checkpoints and divergence."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import Unavailable, UsageError
from bench.evaluation import evaluation_mode
from bench.graphs.updates import GraphedUpdates
from bench.method import Logs, Method
from bench.operators import chance
from bench.precision import full_precision
from bench.store import checkpoint
from bench.store.stored import Point
from bench.task import Stream
from bench.training import history
from bench.training.device_errors import synchronize, warm_up
from bench.training.progress import Progress
from bench.training.time_limit import time_limit

_BEST = "best.safetensors"
_GRACE = 60.0  # seconds beyond the cap on training for an update that is under way


class Diverged(ArithmeticError):
    """A logged value stopped being finite; a validation score that is infinitely good did not diverge."""

    def __init__(self, step: int, key: str) -> None:
        super().__init__(f"{key} is not finite at update {step}")
        self.step = step


class Interrupted(Exception):
    """The user asked to stop; everything is saved."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a training run is watched and bounded."""

    folder: Path  # where checkpoints lie
    evaluations: int  # validations, evenly spaced
    higher_is_better: bool  # of the first validation score
    max_seconds: float = math.inf
    checkpoint_seconds: float = 30.0
    keep_checkpoint: Callable[[Path], None] = lambda path: None  # called with every checkpoint that is written
    directions: Mapping[str, bool] = dataclasses.field(default_factory=dict)  # column -> higher is better, after the first score


class Training:
    """One method in training. `run` trains from where the last checkpoint left off; `graphed` makes updates in the place of `train`."""

    def __init__(
        self,
        method: Method,
        stream: Stream,
        validate: Callable[[], dict[str, float]],
        plan: Plan,
        progress: Progress,
        graphed: GraphedUpdates | None = None,
    ) -> None:
        self.method, self.stream, self.validate, self.plan, self.progress = method, stream, validate, plan, progress
        self.graphed = graphed
        self.steps: int = getattr(method.hp, "steps", 0)
        self.window = min(max(self.steps // 200, 1), 50)  # updates averaged into one point of a curve
        self.milestones = {math.ceil(k * self.steps / plan.evaluations) for k in range(1, plan.evaluations + 1)}
        self.spent, self.tick = 0.0, time.perf_counter()  # seconds of training, and when they were last counted
        self.capped = False
        self.points: list[Point] = []
        self.history: list[tuple[int, float]] = []  # (step, first validation score)
        self.pending: list[dict[str, Tensor]] = []
        self.saved_at = time.monotonic()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Train to the last update, the time cap, a divergence or a stop.

        Raises:
            Diverged: a logged value is not finite.
            Interrupted: `stopped()` became true; the state is saved.
        """
        if not self._resume():
            self.method.prepare(self.stream)
            with full_precision():
                self.method.data_dependent_init(self.stream)
            self._validate()
        if self.spent > self.plan.max_seconds:  # it was stopped while it was judged
            self.capped = True
            return
        warm_up(self.device)
        self.tick = time.perf_counter()
        with contextlib.closing(self._updates()) as updates:
            for logs in updates:
                self._collect(logs)
                self._count_seconds()
                self.capped = self.spent > self.plan.max_seconds
                if self.method.t in self.milestones or self.capped:
                    self._validate()
                if stopped():
                    self.save()
                    raise Interrupted
                if self.capped:
                    break
                if time.monotonic() - self.saved_at > self.plan.checkpoint_seconds:
                    self.save()
                self.tick = time.perf_counter()  # what came since the last lap was no training
        self.save()

    def _updates(self) -> Generator[Logs, None, None]:
        """What the method's `train` yields, held to its contract; under a cap no update is waited for longer than that.

        Raises:
            Diverged: it raises after its weights stopped being finite.
            RuntimeError: it ends before its last update, goes on after it, or does not count.
            TimeoutError: it gave no update in time.
        """
        who, limit = f"{type(self.method).__name__}.train", self.plan.max_seconds + _GRACE
        updates = self.graphed.updates() if self.graphed else iter(self.method.train(self.stream))
        while True:
            before = self.method.t
            with self._report_divergence(), time_limit(limit, f"{who} gave no update within --max-seconds and a minute more"):
                logs = next(updates, None)
            if logs is None:
                break
            if self.method.t > self.steps:
                raise RuntimeError(f"{who} went on after update {self.steps}, its last: the loop must be `while self.t < self.hp.steps`")
            if self.method.t <= before:
                raise RuntimeError(f"{who} does not count its updates in self.t")
            yield logs
        if self.method.t < self.steps:
            raise RuntimeError(f"{who} ended at update {self.method.t} of {self.steps}")

    @contextlib.contextmanager
    def _report_divergence(self) -> Iterator[None]:
        """Turn what a routine raises because weights are not finite into a divergence.

        Raises:
            Diverged: that happened.
        """
        try:
            yield
        except (UsageError, Unavailable, torch.OutOfMemoryError):
            raise
        except Exception as error:
            for name, network in self.method.networks().items():
                if not all(p.isfinite().all() for p in network.parameters()):
                    raise self._find_divergence(f"a weight of {name}") from error
            raise

    def best_step(self) -> int:
        """The step with the best first validation score."""
        return history.best_step(self.history, self.plan.higher_is_better)

    def summary(self) -> dict[str, float]:
        """What `history.summary` says."""
        return history.summary(self.history, self.plan.higher_is_better)

    def save(self) -> None:
        """Write the checkpoint. The wait for what is queued on the device until then is training, which counts."""
        since = time.perf_counter()
        synchronize(self.device)
        self.spent += time.perf_counter() - since
        tree = {
            "method": self.method.state(), "drawn": self.stream.drawn, "rng": torch.get_rng_state(), "spent": self.spent,
            "device_rng": chance.state(self.device),
            "points": self.points, "history": self.history, "pending": self.pending,
        }  # fmt: skip
        self._save_file("checkpoint.safetensors", tree)
        self.saved_at = time.monotonic()

    def load_best(self) -> None:
        """Put the method into its best state on validation.

        Raises:
            CorruptCheckpoint: the file is damaged, or of another update: a killed run then went on in another way.
        """
        tree = checkpoint.load(self.plan.folder / _BEST, self.device)
        if tree["t"] != self.best_step():
            raise checkpoint.CorruptCheckpoint(f"{_BEST} is of update {tree['t']}, not {self.best_step()}")
        self.method.load_state(tree["method"])

    def _resume(self) -> bool:
        path = self.plan.folder / "checkpoint.safetensors"
        if not path.exists():
            return False
        tree = checkpoint.load(path)
        self.method.load_state(checkpoint.to(tree["method"], self.device))
        self.stream.drawn, self.spent, self.pending = tree["drawn"], tree["spent"], tree["pending"]
        self.points, self.history = tree["points"], tree["history"]
        torch.set_rng_state(tree["rng"])
        chance.restore(tree["device_rng"], self.device)
        return True

    def _count_seconds(self) -> None:
        now = time.perf_counter()
        self.spent, self.tick = self.spent + now - self.tick, now

    def _collect(self, logs: Logs) -> None:
        self.pending.append({k: torch.as_tensor(v).detach() for k, v in logs.items()})
        if len(self.pending) == self.window or self.method.t >= self.steps:
            self._flush()

    def _flush(self) -> None:
        """One point a key from the updates since the last: the only place where training waits for the device."""
        keys = dict.fromkeys(key for logs in self.pending for key in logs)
        values = {key: _mean([logs[key].float() for logs in self.pending if key in logs]) for key in keys}
        if not all(map(math.isfinite, values.values())):
            raise self._find_divergence("the mean of a window")
        self._count_seconds()
        self.pending = []
        self._record({f"train/{k}": v for k, v in values.items()})
        self.progress.update(self.method.t, self.images / max(self.spent, 1e-9), values)

    def _find_divergence(self, otherwise: str) -> Diverged:
        """The error of the first update since the last point that logged a value which is not finite; where all are, of `otherwise`."""
        first = self.method.t - len(self.pending) + 1
        bad = ((step, key) for step, logs in enumerate(self.pending, first) for key, value in logs.items() if not value.isfinite())
        return Diverged(*next(bad, (self.method.t, otherwise)))

    def _validate(self) -> None:
        if self.pending:
            self._flush()
        with evaluation_mode(self.method):
            scores = self.validate()
        if self.graphed:
            self.graphed.recheck()
        directions = {**self.plan.directions, next(iter(scores)): self.plan.higher_is_better}
        for key, value in scores.items():
            if not math.isfinite(value) and not history.is_perfect(value, directions.get(key)):
                raise Diverged(self.method.t, f"validation/{key}")
        self._record({f"validation/{k}": v for k, v in scores.items()})
        self.progress.curves(self.points)
        self.history.append((self.method.t, next(iter(scores.values()))))
        if self.best_step() == self.method.t:
            self._save_file(_BEST, {"t": self.method.t, "method": self.method.state()})

    def _save_file(self, name: str, tree: dict[str, Any]) -> None:
        checkpoint.save(path := self.plan.folder / name, tree)
        self.plan.keep_checkpoint(path)

    def _record(self, values: dict[str, float]) -> None:
        self.points += [(key, self.method.t, self.images, self.spent, value) for key, value in values.items()]

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.stream.task.device

    @property
    def images(self) -> int:
        """Training images seen so far."""
        return self.stream.drawn * self.stream.batch_size


def _mean(values: Sequence[Tensor]) -> float:
    """The mean of values that may lie on two devices: those of a checkpoint come back on the CPU."""
    return float(torch.stack([value.to(values[-1].device) for value in values]).mean())
