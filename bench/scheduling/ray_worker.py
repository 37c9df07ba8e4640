"""A trial in a process of Ray, alone or as one of several ranks, and its messages to the runner (`bench.scheduling.ray_engine`)."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import platform
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from bench.errors import UsageError
from bench.running import job as running
from bench.running.identify import identify
from bench.running.job import Job
from bench.running.settings import Settings
from bench.scheduling import gpu_share
from bench.store.record import TrialRecord
from bench.store.run_dir import Locked
from bench.store.stored import Point
from bench.text import first_line
from bench.training import data_parallel
from bench.training.loop import Interrupted
from bench.training.progress import Progress

RETRIES = 3  # times that a trial is started again after its process or node died
_SEND_EVERY = 1.0  # seconds between messages of a trial
_PATIENCE = 86_400  # seconds that the ranks of a trial wait for one another: the leader judges while the others wait

Message = tuple[int, str, tuple[Any, ...]]
"""The index of a job, a method of `Progress` and its arguments."""


class ProgressActor:
    """The messages of the workers until the runner takes them, and whether the user asked to stop. An actor on the runner's node."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.results: dict[int, Any] = {}
        self.stop = False

    def tell(self, messages: Sequence[Message]) -> bool:
        """Add messages of a worker. Returns whether it has to stop."""
        self.messages += messages
        return self.stop

    def take(self) -> list[Message]:
        """The messages since the last call, which are removed."""
        messages, self.messages = self.messages, []
        return messages

    def ask_to_stop(self) -> None:
        """Ask all workers to stop."""
        self.stop = True

    def end(self, index: int, result: Any) -> None:
        """Keep the result of a trial of several processes."""
        self.results[index] = result

    def result(self, index: int) -> Any:
        """The result that `end` kept, which is removed."""
        return self.results.pop(index)


class RemoteProgress(Progress):
    """Sends messages to the actor on the runner's node, at most once a second: of each kind the newest."""

    def __init__(self, actor: Any, index: int) -> None:
        self.actor, self.index = actor, index
        self.waiting: dict[str, tuple[Any, ...]] = {}
        self.sent_at, self.stop = 0.0, False

    @override
    def started(self) -> None:
        self._queue("started")

    @override
    def update(self, *arguments: Any) -> None:
        self._queue("update", *arguments)

    @override
    def evaluating(self, *arguments: Any) -> None:
        self._queue("evaluating", *arguments)

    @override
    def curves(self, points: Sequence[Point]) -> None:
        self._queue("curves", list(points))

    def stopped(self) -> bool:
        """Whether the user asked to stop; messages that wait are sent if it is time."""
        if time.monotonic() - self.sent_at > _SEND_EVERY:
            self.tell()
        return self.stop

    def tell(self) -> None:
        """Send the messages that wait. Where the runner is gone the trial has to stop: another runner will go on with it."""
        import ray

        try:
            self.stop |= ray.get(self.actor.tell.remote([(self.index, name, arguments) for name, arguments in self.waiting.items()]))
        except ray.exceptions.RayError:
            self.stop = True
        self.waiting, self.sent_at = {}, time.monotonic()

    def _queue(self, name: str, *arguments: Any) -> None:
        self.waiting[name] = arguments


def work(job: Job, settings: Settings, actor: Any) -> list[TrialRecord] | bytes | Exception:
    """A job, in a process of its own on some node. Bytes are records from a disk that the runner does not see."""
    _prepare(settings)
    progress = RemoteProgress(actor, job.index)
    try:
        _check_same_environment(job, settings)
        if progress.stopped():
            return Interrupted()
        with _scratch_output(settings) as own, _stop_on_sigterm(progress):
            records = running.run(job, own, progress, progress.stopped)
            progress.tell()
            return records if own is settings else running.folder_of(job, own).pack()
    except Locked as error:
        time.sleep(_SEND_EVERY)
        return error
    except (Interrupted, UsageError) as error:
        return error


def measure(job: Job, settings: Settings) -> float:
    """The share of a GPU that a trial takes; this process has a whole one."""
    _prepare(settings)
    return gpu_share.measure(job.trial, settings)


@contextlib.contextmanager
def _scratch_output(settings: Settings) -> Iterator[Settings]:
    """The settings with a temporary output folder, where checkpoints are mirrored; else as they are."""
    if settings.checkpoints is None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="ganbench-") as out:
        yield dataclasses.replace(settings, out=Path(out))


@contextlib.contextmanager
def _stop_on_sigterm(progress: RemoteProgress) -> Iterator[None]:
    """Let the trial save and stop on SIGTERM, which a scheduler sends to every process; Ray's own handler would make it fail."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        progress.stop = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def work_together(job: Job, settings: Settings, actor: Any) -> list[TrialRecord] | Exception:
    """A trial on several processes with a device each, which Ray Train starts, and starts again where one of them dies."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = settings.device.type == "cuda"
    with tempfile.TemporaryDirectory(dir=settings.out / job.trial.suite, prefix="ranks-") as notes:  # Ray Train's own
        trainer = TorchTrainer(
            _rank, train_loop_config={"job": job, "settings": settings, "actor": actor},
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=_PATIENCE),
            scaling_config=ScalingConfig(num_workers=settings.ranks, use_gpu=gpu, resources_per_worker={"CPU": 1, "GPU": int(gpu)}),
            run_config=RunConfig(storage_path=notes, failure_config=FailureConfig(max_failures=RETRIES)),
        )  # fmt: skip
        try:
            trainer.fit()
        except Exception as error:
            reason = f"one of its ranks died {RETRIES + 1} times, the last time with: {first_line(error)}"
            return running.record_failure(job, settings, reason)
    result: list[TrialRecord] | Exception = ray.get(actor.result.remote(job.index))
    return result


def _rank(config: dict[str, Any]) -> None:
    """One process of a trial. The leader is the trial; the others train beside it."""
    import ray
    from ray.train import get_context
    from ray.train.torch import get_device

    job, settings, actor = config["job"], config["settings"], config["actor"]
    if settings.device.type == "cuda":
        torch.cuda.set_device(get_device())
        settings = dataclasses.replace(settings, device=get_device())
    _prepare(settings)
    if get_context().get_world_rank() > 0:
        running.run_follower_rank(job, settings)
        return
    made = running.folder_of(job, settings).attempt() not in (None, *job.replaces)
    result = work(job, settings, actor)
    if isinstance(result, list) and not made and (failed := [record for record in result if record.outcome == "failed"]):
        raise RuntimeError(failed[0].reason)  # ends the ranks that wait in the middle of an update; the next ones find the record
    ray.get(actor.end.remote(job.index, result))
    data_parallel.stop_followers(settings.device)


@functools.cache
def _prepare(settings: Settings) -> None:
    settings.prepare()


def _check_same_environment(job: Job, settings: Settings) -> None:
    """Refuse to compute on a node that would compute something else.

    Raises:
        UsageError: its code or data differ from the runner's, or it does not see the output folder.
    """
    node = platform.node()
    if settings.checkpoints is None and not running.folder_of(job, settings).path.is_dir():
        raise UsageError(f"node {node} does not see {settings.out}: give an --out on storage that all nodes share, or --checkpoints URL")
    here, there = job.identities[0].facts, identify(job.trial, settings).facts
    if different := [f"{k} is {there.get(k)} there, {here.get(k)} here" for k in {**here, **there} if there.get(k) != here.get(k)]:
        raise UsageError(f"node {node} would compute something else: {'; '.join(different[:3])}: give it the same code and data")
