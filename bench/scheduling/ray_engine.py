"""Trials on many processes and machines, by Ray. Only `--workers` and `--ray` import it.

A trial is one Ray task. Ray starts it again where its process or node dies; the lock and the record of its run directory turn that into
exactly once, and its checkpoint there, or the copy of it in a depot, lets it go on where it was. The store is written by the runner
alone.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.external.safety import harden
from bench.running import job as running
from bench.running.job import Job
from bench.running.settings import Settings
from bench.scheduling import ray_worker
from bench.scheduling.scheduler import Engine
from bench.store.record import TrialRecord
from bench.store.run_dir import Locked
from bench.text import first_line
from bench.training.loop import Interrupted
from bench.training.progress import Progress

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # folders for Ray's sockets where the name of the usual one is too long
_LONGEST = 20  # characters of such a folder: a socket's name has 103 at most, ours has 17 and Ray's own 64 of them
_LOOK = 0.25  # seconds between looks at what the trials say


@contextlib.contextmanager
def engine(
    workers: int | None, address: str | None, settings: Settings, *, gpus: float | None = None, alone: bool = False
) -> Iterator[tuple[Engine, Settings]]:
    """Ray on this machine with so many workers, or the cluster at an address; and the settings that its trials run under.

    Args:
        workers: trials at once on this machine.
        address: of a cluster that runs already, such as `10.0.0.1:6379` or `auto`.
        settings: of this process.
        gpus: what a trial takes of a GPU, where they run on GPUs; None: as much as it needs, which is measured.
        alone: whether each trial has a node to itself; where nodes differ, one of the largest.

    Raises:
        UsageError: Ray is not installed or cannot start, or there is no such cluster.
    """
    if not address:
        _keep_to_ourselves()
    try:
        import ray
    except ImportError:
        raise UsageError("--workers and --ray need Ray: pip install 'ganbench[ray]'") from None
    if settings.device.index is not None:
        raise UsageError(f"--device {settings.device} with --workers or --ray: Ray hands out the GPUs, so give cuda")
    scratch = None if address else _scratch()
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if address:
            ray.init(address=address, **common)
        else:
            ray.init("local", num_cpus=(workers or 1) * settings.ranks, include_dashboard=False, _temp_dir=str(scratch), **common)
        cores = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        if alone:
            threads, each = settings.threads or (cores if address else os.cpu_count() or 1), cores
        else:
            threads = settings.threads or (1 if address else max(1, (os.cpu_count() or 1) // cores))
            each = min(threads, cores) if address else 1  # CPUs of a process
        worker_settings = dataclasses.replace(
            settings, threads=threads, at_once=max(cores // (each * settings.ranks), 1), out=settings.out.resolve()
        )
        share = 0.0 if settings.device.type != "cuda" or settings.ranks > 1 else 1.0 if alone else gpus
        yield functools.partial(_run, each, _Gpus(share)), worker_settings
    except (OSError, RuntimeError, ValueError) as error:
        if ray.is_initialized():
            raise
        if address:
            raise UsageError(f"cannot reach the cluster at {address}: {first_line(error)}; see `ray status`") from error
        raise UsageError(
            f"cannot start Ray on this machine: {first_line(error)}; without --workers trials run one after another"
        ) from error
    finally:
        ray.shutdown()
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


def _keep_to_ourselves() -> None:
    """Forget what the environment says of clusters and of what is to run in them: `--workers` means a Ray of our own, whatever is inherited.

    Ray reads it when it is imported and in all of its processes. Its finer settings, which are in small letters, stay.
    """
    for name in [name for name in os.environ if re.fullmatch("RAY_[A-Z0-9_]+", name)]:
        del os.environ[name]
    harden()
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=_token())  # else Ray would leave one of its own in the home directory


@functools.cache
def _token() -> str:
    return secrets.token_hex(32)


def _scratch() -> Path:
    """A new folder for Ray, where names can be short: those of its sockets go on from here.

    Raises:
        UsageError: there is none.
    """
    for parent in (tempfile.gettempdir(), *_SHORT):
        if len(os.fsencode(os.path.abspath(parent))) <= _LONGEST and os.access(parent, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="ganbench-", dir=parent))
    raise UsageError(f"Ray needs a folder with a short name for its sockets: set TMPDIR to one of at most {_LONGEST} characters")


@dataclasses.dataclass(frozen=True)
class _Gpus:
    """What trials take of the GPUs that Ray hands out: what is `given`, else what a trial of their row was found to need."""

    given: float | None
    known: dict[tuple[str, str], float] = dataclasses.field(default_factory=dict)

    def of(self, job: Job) -> float:
        """A share, 1 for a whole one."""
        return self.known.get((job.trial.workload, job.trial.label), 1.0) if self.given is None else self.given

    def room(self, jobs: Sequence[Job]) -> int:
        """How many of these the GPUs of a node hold at once."""
        import ray

        smallest = min(map(self.of, jobs))
        return int(max(node["Resources"].get("GPU", 0) for node in ray.nodes()) / smallest) if smallest else len(jobs)

    def measure(self, jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool]) -> None:
        """Find out what is not known; where every trial can have a GPU to itself there is no need.

        Raises:
            Interrupted: `stopped()` became true.
        """
        import ray

        if self.given is not None or len(jobs) <= ray.cluster_resources().get("GPU", 0):
            return
        first = {(job.trial.workload, job.trial.label): job for job in reversed(jobs)}
        measuring = {
            ray.remote(num_gpus=1)(ray_worker.measure).remote(job, settings): row for row, job in first.items() if row not in self.known
        }
        while measuring:
            ready, _ = ray.wait(list(measuring), timeout=_LOOK)
            for ref in ready:
                row = measuring.pop(ref)
                with contextlib.suppress(ray.exceptions.RayError):  # what kills its process will kill the trial's too, which then tells
                    self.known[row] = ray.get(ref)
            if stopped():
                raise Interrupted


def _run(
    cpus: int, gpus: _Gpus, jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool], watch: Callable[[Job], Progress]
) -> Iterator[tuple[Job, list[TrialRecord]]]:
    """An `Engine`: all jobs at once, as many as there is room for; Ray keeps the others waiting. Of those that take several devices each, a few."""
    if not jobs:
        return
    import ray

    gpus.measure(jobs, settings, stopped)
    actor, settings = _progress_actor(), dataclasses.replace(settings, at_once=min(settings.at_once, len(jobs), gpus.room(jobs)))
    if settings.ranks == 1:
        work, room = ray.remote(max_retries=ray_worker.RETRIES, num_cpus=cpus)(ray_worker.work), len(jobs)
    else:  # Ray Train asks for the devices of the ranks
        work, room = ray.remote(max_retries=ray_worker.RETRIES, num_cpus=0)(ray_worker.work_together), settings.at_once
    for job in jobs:
        running.folder_of(job, settings).path.mkdir(parents=True, exist_ok=True)  # `worker` looks for it
    watchers, waiting, tasks = {job.index: watch(job) for job in jobs}, collections.deque(jobs), dict[Any, Job]()
    asked = False
    while tasks or (waiting and not asked):
        while waiting and len(tasks) < room and not asked:
            job = waiting.popleft()
            tasks[work.options(num_gpus=gpus.of(job)).remote(_sent(job, settings), settings, actor)] = job
        ready, _ = ray.wait(list(tasks), timeout=_LOOK)
        with _going_down(stopped):
            news = ray.get(actor.take.remote())
        for index, name, arguments in news:
            getattr(watchers[index], name)(*arguments)
        for ref in ready:
            job = tasks.pop(ref)
            result = _result(ref, job, settings, stopped)
            if isinstance(result, list):
                yield job, result
            elif isinstance(result, Locked):
                waiting.append(job)
            elif isinstance(result, Interrupted) and not (asked or stopped()):  # its machine was told to stop, we were not
                waiting.append(job)
            elif isinstance(result, Interrupted):
                asked = True
            else:
                raise result
        if stopped() and not asked:
            asked = True
            with _going_down(stopped):
                ray.get(actor.ask_to_stop.remote())
    if asked:
        raise Interrupted


def _sent(job: Job, settings: Settings) -> Job:
    """The job as a node gets it: to one that sees no disk of ours, with the training that it judges."""
    folder = running.folder_of(job, settings)
    if settings.checkpoints is None or (attempt := folder.attempt()) is None or attempt in job.replaces:
        return job
    return dataclasses.replace(job, packed=folder.pack())


def _progress_actor() -> Any:
    """An actor on this node: it lives as long as the runner."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    home = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=home)(ray_worker.ProgressActor).remote()


@contextlib.contextmanager
def _going_down(stopped: Callable[[], bool]) -> Iterator[None]:
    """A scheduler sends the signal that stops us to every process, Ray's too."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        if stopped():
            raise Interrupted from error
        raise


def _result(ref: Any, job: Job, settings: Settings, stopped: Callable[[], bool]) -> list[TrialRecord] | Exception:
    """What came of a task; a trial whose process died every time is a failed one."""
    import ray

    try:
        result: list[TrialRecord] | bytes | str | Exception = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else error
    except (ray.exceptions.RayError, ray.exceptions.RaySystemError) as error:
        if stopped():
            return Interrupted()
        result = f"its process died {ray_worker.RETRIES + 1} times, the last time with: {first_line(error)}"
    try:
        if isinstance(result, bytes):
            return running.import_records(job, result, settings)
        return running.record_failure(job, settings, result) if isinstance(result, str) else result
    except Locked as error:
        return error
