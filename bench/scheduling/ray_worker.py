"""A trial in a process of Ray, alone or as one of several ranks, and what it tells the runner: the other end of `bench.scheduling.ray_engine`."""

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

from bench.errors import UsageError
from bench.running import trial as life
from bench.running.settings import Settings
from bench.scheduling import gpu_share
from bench.scheduling.scheduler import Job
from bench.store.identity import id_of
from bench.store.record import Point, TrialRecord
from bench.store.run_dir import Held
from bench.text import first_line
from bench.training.loop import Interrupted

RETRIES = 3  # times that a trial is started again after its process or node died
_TOLD_EVERY = 1.0  # seconds between messages of a trial
_PATIENCE = 86_400  # seconds that the ranks of a trial wait for one another: the leader judges while the others wait


class Board:
    """What the trials say, until the runner looks; and whether the user asked to stop. An actor on the runner's node."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str, tuple[Any, ...]]] = []
        self.results: dict[int, Any] = {}
        self.stop = False

    def tell(self, said: list[tuple[int, str, tuple[Any, ...]]]) -> bool:
        """News of a trial. Returns whether it has to stop."""
        self.said += said
        return self.stop

    def take(self) -> list[tuple[int, str, tuple[Any, ...]]]:
        """What was said since the last look."""
        said, self.said = self.said, []
        return said

    def ask_to_stop(self) -> None:
        """From now on."""
        self.stop = True

    def end(self, index: int, result: Any) -> None:
        """What came of a trial of several processes."""
        self.results[index] = result

    def result(self, index: int) -> Any:
        """The same, once."""
        return self.results.pop(index)


class Messenger:
    """A `Watcher` that tells the board, at most once a second; of what is newer by then only the newest."""

    def __init__(self, board: Any, index: int) -> None:
        self.board, self.index = board, index
        self.news: dict[str, tuple[Any, ...]] = {}
        self.told, self.stop = 0.0, False

    def started(self) -> None:
        """It runs."""
        self._note("started")

    def update(self, *arguments: Any) -> None:
        """A window of updates is done."""
        self._note("update", *arguments)

    def evaluating(self, *arguments: Any) -> None:
        """Pictures judged so far."""
        self._note("evaluating", *arguments)

    def curves(self, points: Sequence[Point]) -> None:
        """All points so far."""
        self._note("curves", list(points))

    def stopped(self) -> bool:
        """Whether the user asked to stop; what is new goes to the board on this occasion."""
        if time.monotonic() - self.told > _TOLD_EVERY:
            self.tell()
        return self.stop

    def tell(self) -> None:
        """Send all that is new. Without the runner the trial has to stop: another one will go on with it."""
        import ray

        try:
            self.stop |= ray.get(self.board.tell.remote([(self.index, name, arguments) for name, arguments in self.news.items()]))
        except ray.exceptions.RayError:
            self.stop = True
        self.news, self.told = {}, time.monotonic()

    def _note(self, name: str, *arguments: Any) -> None:
        self.news[name] = arguments


def work(job: Job, settings: Settings, board: Any) -> TrialRecord | bytes | Exception:
    """A trial, in a process of its own on some node. Bytes are a record from a disk that the runner does not see."""
    _prepare(settings)
    messenger = Messenger(board, job.index)
    try:
        _same_place(job, settings)
        if messenger.stopped():
            return Interrupted()
        with _desk(settings) as own, _saved_by_sigterm(messenger):
            record = life.run(job.trial, own, messenger, messenger.stopped, job.stale)
            messenger.tell()
            return record if own is settings else life.folder_of(job.trial, record.trial_id, own).pack()
    except Held as error:
        time.sleep(_TOLD_EVERY)
        return error
    except (Interrupted, UsageError) as error:
        return error


def measure(job: Job, settings: Settings) -> float:
    """What a trial takes of a GPU, of which this process has a whole one."""
    _prepare(settings)
    return gpu_share.measure(job.trial, settings)


@contextlib.contextmanager
def _desk(settings: Settings) -> Iterator[Settings]:
    """Where copies of checkpoints lie where every node finds them, a trial needs no disk but that of its node, and that only for a while."""
    if settings.checkpoints is None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="ganbench-") as out:
        yield dataclasses.replace(settings, out=Path(out))


@contextlib.contextmanager
def _saved_by_sigterm(messenger: Messenger) -> Iterator[None]:
    """A scheduler sends it to every process: the trial saves and stops. Ray's own answer to it would make it one that failed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        messenger.stop = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def work_together(job: Job, settings: Settings, board: Any) -> TrialRecord | Exception:
    """A trial on several processes with a device each, which Ray Train starts, and starts again where one of them dies."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = settings.device.type == "cuda"
    with tempfile.TemporaryDirectory(dir=settings.out / job.trial.suite, prefix="ranks-") as notes:  # Ray Train's own
        trainer = TorchTrainer(
            _rank, train_loop_config={"job": job, "settings": settings, "board": board},
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=_PATIENCE),
            scaling_config=ScalingConfig(num_workers=settings.ranks, use_gpu=gpu, resources_per_worker={"CPU": 1, "GPU": int(gpu)}),
            run_config=RunConfig(storage_path=notes, failure_config=FailureConfig(max_failures=RETRIES)),
        )  # fmt: skip
        try:
            trainer.fit()
        except Exception as error:
            reason = f"one of its ranks died {RETRIES + 1} times, the last time with: {first_line(error)}"
            return life.give_up(job.trial, settings, reason, job.stale)
    result: TrialRecord | Exception = ray.get(board.result.remote(job.index))
    return result


def _rank(config: dict[str, Any]) -> None:
    """One process of a trial. The leader is the trial; the others train beside it."""
    import ray
    from ray.train import get_context
    from ray.train.torch import get_device

    from bench.training import data_parallel

    job, settings, board = config["job"], config["settings"], config["board"]
    if settings.device.type == "cuda":
        torch.cuda.set_device(get_device())
        settings = dataclasses.replace(settings, device=get_device())
    _prepare(settings)
    if get_context().get_world_rank() > 0:
        life.follow(job.trial, settings)
        return
    made = life.folder_of(job.trial, id_of(job.parts), settings).attempt() not in (None, job.stale)
    result = work(job, settings, board)
    if isinstance(result, TrialRecord) and result.outcome == "failed" and not made:
        raise RuntimeError(result.reason)  # the others wait in the middle of an update: they end with this process, and the next ones find the record
    ray.get(board.end.remote(job.index, result))
    data_parallel.dismiss(settings.device)


@functools.cache
def _prepare(settings: Settings) -> None:
    settings.prepare()


def _same_place(job: Job, settings: Settings) -> None:
    """Refuse to compute on a node that would compute something else.

    Raises:
        UsageError: its code, data or versions differ from the runner's, or it does not see the output folder.
    """
    node = platform.node()
    if settings.checkpoints is None and not life.folder_of(job.trial, id_of(job.parts), settings).path.is_dir():
        raise UsageError(f"node {node} does not see {settings.out}: give an --out on storage that all nodes share, or --checkpoints URL")
    parts = life.identify(job.trial, settings)
    if different := [f"{k} is {parts.get(k)} there, {job.parts.get(k)} here" for k in {**job.parts, **parts} if parts.get(k) != job.parts.get(k)]:
        raise UsageError(f"node {node} would compute something else: {'; '.join(different[:3])}: give it the same code, data and versions")
