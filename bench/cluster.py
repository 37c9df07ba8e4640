"""Trials on many processes and machines, by Ray. Only `--workers` and `--ray` import it.

A trial is one Ray task. Ray starts it again where its process or node dies; the lock and the record of its run directory turn that into exactly once,
and its checkpoint there lets it go on where it was. The store is written by the runner alone.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import logging
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from bench import trial as life
from bench.errors import UsageError
from bench.execute import Engine, Job
from bench.identity import id_of
from bench.record import TrialRecord
from bench.rundir import Held
from bench.text import first_line
from bench.training import Interrupted, Point
from bench.trial import Settings

_TOLD_EVERY = 1.0  # seconds between messages of a trial
_LOOK = 0.25  # seconds between looks at what the trials say
_PATIENCE = 86_400  # seconds that the ranks of a trial wait for one another: the leader judges while the others wait
_RETRIES = 3  # times that a trial is started again after its process or node died


@contextlib.contextmanager
def engine(workers: int | None, address: str | None, settings: Settings, gpus: float) -> Iterator[tuple[Engine, Settings]]:
    """Ray on this machine with so many workers, or the cluster at an address; and the settings that its trials run under.

    Args:
        workers: trials at once on this machine.
        address: of a cluster that runs already, such as `10.0.0.1:6379` or `auto`.
        settings: of this process.
        gpus: what a trial takes of a GPU, where they run on GPUs.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    if not address and "RAY_AUTH_TOKEN" not in os.environ:  # Ray reads it when it is imported, and would leave one of its own in the home directory
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
    except ImportError:
        raise UsageError("--workers and --ray need Ray: pip install 'ganbench[ray]'") from None
    if settings.device.index is not None:
        raise UsageError(f"--device {settings.device} with --workers or --ray: Ray hands out the GPUs, so give cuda")
    scratch = Path(tempfile.mkdtemp(prefix="ganbench-"))  # short: the names of Ray's sockets go on from here
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if address:
            ray.init(address=address, **common)
        else:
            ray.init(num_cpus=(workers or 1) * settings.ranks, include_dashboard=False, _temp_dir=str(scratch), **common)
        cores = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        threads = settings.threads or (1 if address else max(1, (os.cpu_count() or 1) // cores))
        each = min(threads, cores) if address else 1  # CPUs of a process
        theirs = dataclasses.replace(settings, threads=threads, at_once=max(cores // (each * settings.ranks), 1), out=settings.out.resolve())
        yield functools.partial(_run, each, gpus if settings.device.type == "cuda" else 0), theirs
    except (ConnectionError, RuntimeError, ValueError) as error:
        if ray.is_initialized():
            raise
        where = f"the cluster at {address}" if address else "Ray"
        raise UsageError(f"cannot reach {where}: {first_line(error)}; see `ray status`") from error
    finally:
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _run(
    cpus: int, gpus: float, jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool], watch: Callable[[Job], life.Watcher]
) -> Iterator[tuple[Job, TrialRecord]]:
    """An `Engine`: all jobs at once, as many as there is room for; Ray keeps the others waiting. Of those that take several devices each, a few."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    home = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # the board lives as long as the runner
    board = ray.remote(num_cpus=0, scheduling_strategy=home)(_Board).remote()
    if settings.ranks == 1:
        work, room = ray.remote(max_retries=_RETRIES, num_cpus=cpus, num_gpus=gpus)(_work), len(jobs)
    else:
        work, room = ray.remote(max_retries=_RETRIES, num_cpus=0)(_work_together), settings.at_once
    for job in jobs:
        life.folder_of(job.trial, id_of(job.parts), settings).path.mkdir(parents=True, exist_ok=True)  # `_work` looks for it
    watchers, waiting, running = {job.index: watch(job) for job in jobs}, collections.deque(jobs), dict[Any, Job]()
    asked = False
    while running or (waiting and not asked):
        while waiting and len(running) < room and not asked:
            job = waiting.popleft()
            running[work.remote(job, settings, board)] = job
        ready, _ = ray.wait(list(running), timeout=_LOOK)
        for index, name, arguments in ray.get(board.take.remote()):
            getattr(watchers[index], name)(*arguments)
        for ref in ready:
            job = running.pop(ref)
            result = _result(ref, job, settings)
            if isinstance(result, TrialRecord):
                yield job, result
            elif isinstance(result, Held):
                waiting.append(job)
            elif isinstance(result, Interrupted):
                asked = True
            else:
                raise result
        if stopped() and not asked:
            asked = True
            ray.get(board.ask_to_stop.remote())
    if asked:
        raise Interrupted


def _result(ref: Any, job: Job, settings: Settings) -> TrialRecord | Exception:
    """What came of a task; a trial whose process died every time is a failed one."""
    import ray

    try:
        result: TrialRecord | Exception = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else error
    except (ray.exceptions.RayError, ray.exceptions.RaySystemError) as error:
        reason = f"its process died {_RETRIES + 1} times, the last time with: {first_line(error)}"
        return life.give_up(job.trial, settings, reason, job.stale)
    return result


class _Board:
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


class _Messenger:
    """A `Watcher` that tells the board, at most once a second; of what is newer by then only the newest."""

    def __init__(self, board: Any, index: int) -> None:
        self.board, self.index = board, index
        self.news: dict[str, tuple[Any, ...]] = {}
        self.told, self.stop = 0.0, False

    def started(self) -> None:
        self._note("started")

    def update(self, *arguments: Any) -> None:
        self._note("update", *arguments)

    def evaluating(self, *arguments: Any) -> None:
        self._note("evaluating", *arguments)

    def curves(self, points: Sequence[Point]) -> None:
        self._note("curves", list(points))

    def stopped(self) -> bool:
        """Whether the user asked to stop; what is new goes to the board on this occasion."""
        if time.monotonic() - self.told > _TOLD_EVERY:
            self.tell()
        return self.stop

    def tell(self) -> None:
        """Send all that is new."""
        import ray

        self.stop = ray.get(self.board.tell.remote([(self.index, name, arguments) for name, arguments in self.news.items()]))
        self.news, self.told = {}, time.monotonic()

    def _note(self, name: str, *arguments: Any) -> None:
        self.news[name] = arguments


def _work(job: Job, settings: Settings, board: Any) -> TrialRecord | Exception:
    """A trial, in a process of its own on some node."""
    _prepare(settings)
    messenger = _Messenger(board, job.index)
    try:
        _same_place(job, settings)
        if messenger.stopped():
            return Interrupted()
        record = life.run(job.trial, settings, messenger, messenger.stopped, job.stale)
        messenger.tell()
        return record
    except Held as error:
        time.sleep(_TOLD_EVERY)
        return error
    except (Interrupted, UsageError) as error:
        return error


def _work_together(job: Job, settings: Settings, board: Any) -> TrialRecord | Exception:
    """A trial on several processes with a device each, which Ray Train starts, and starts again where one of them dies."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = settings.device.type == "cuda"
    trainer = TorchTrainer(
        _rank, train_loop_config={"job": job, "settings": settings, "board": board},
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=_PATIENCE),
        scaling_config=ScalingConfig(num_workers=settings.ranks, use_gpu=gpu, resources_per_worker={"CPU": 1, "GPU": int(gpu)}),
        run_config=RunConfig(storage_path=str(settings.out / job.trial.suite / "ranks"), failure_config=FailureConfig(max_failures=_RETRIES)),
    )  # fmt: skip
    try:
        trainer.fit()
    except Exception as error:
        reason = f"one of its ranks died {_RETRIES + 1} times, the last time with: {first_line(error)}"
        return life.give_up(job.trial, settings, reason, job.stale)
    result: TrialRecord | Exception = ray.get(board.result.remote(job.index))
    return result


def _rank(config: dict[str, Any]) -> None:
    """One process of a trial. The leader is the trial; the others train beside it."""
    import ray
    from ray.train import get_context
    from ray.train.torch import get_device

    from bench import parallel

    job, settings, board = config["job"], config["settings"], config["board"]
    if settings.device.type == "cuda":
        torch.cuda.set_device(get_device())
        settings = dataclasses.replace(settings, device=get_device())
    _prepare(settings)
    if get_context().get_world_rank() > 0:
        life.follow(job.trial, settings)
        return
    result = _work(job, settings, board)
    ray.get(board.end.remote(job.index, result))
    parallel.dismiss(settings.device)


@functools.cache
def _prepare(settings: Settings) -> None:
    settings.prepare()


def _same_place(job: Job, settings: Settings) -> None:
    """Refuse to compute on a node that would compute something else.

    Raises:
        UsageError: its code, data or versions differ from the runner's, or it does not see the output folder.
    """
    node = platform.node()
    if not life.folder_of(job.trial, id_of(job.parts), settings).path.is_dir():
        raise UsageError(f"node {node} does not see {settings.out}: give an --out on storage that all nodes share")
    parts = life.identify(job.trial, settings)
    if different := [f"{k} is {parts.get(k)} there, {job.parts.get(k)} here" for k in {**job.parts, **parts} if parts.get(k) != job.parts.get(k)]:
        raise UsageError(f"node {node} would compute something else: {'; '.join(different[:3])}: give it the same code, data and versions")
