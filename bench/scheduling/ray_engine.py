"""Trials on many processes and machines, by Ray. Only `--workers` and `--ray` import it.

A trial is one Ray task. Ray starts it again where its process or node dies; the lock and the record of its run directory turn that into
exactly once, and its checkpoint there, or the mirror of it, lets it go on where it was. The store is written by the runner
alone.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.running import job as running
from bench.running.job import Job
from bench.running.settings import Settings
from bench.scheduling import ray_cluster, ray_worker
from bench.scheduling.scheduler import Engine
from bench.store.record import TrialRecord
from bench.store.run_dir import Locked
from bench.text import first_line
from bench.training.loop import Interrupted
from bench.training.progress import Progress

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle
    from ray.remote_function import RemoteFunction

_LOOK = 0.25  # seconds between looks at what the trials say


@contextlib.contextmanager
def engine(
    workers: int | None, address: str | None, settings: Settings, *, gpus: float | None = None, alone: bool = False
) -> Iterator[tuple[Engine, Settings]]:
    """Start Ray on this machine with so many workers, or join the cluster at an address.

    Args:
        workers: trials at once on this machine.
        address: of a cluster that runs already, such as `10.0.0.1:6379` or `auto`.
        settings: of this process.
        gpus: what a trial takes of a GPU, where they run on GPUs; None: as much as it needs, which is measured.
        alone: whether each trial has a node to itself; where nodes differ, one of the largest.

    Yields:
        What runs jobs there, and the settings for them.

    Raises:
        UsageError: Ray is not installed or cannot start, or there is no such cluster.
    """
    if settings.device.index is not None:
        raise UsageError(f"--device {settings.device} with --workers or --ray: Ray hands out the GPUs, so give cuda")
    with ray_cluster.connect((workers or 1) * settings.ranks, address) as cores:
        if alone:
            threads, each = settings.threads or (cores if address else os.cpu_count() or 1), cores
        else:
            threads = settings.threads or (1 if address else max(1, (os.cpu_count() or 1) // cores))
            each = min(threads, cores) if address else 1  # CPUs of a process
        at_once = max(cores // (each * settings.ranks), 1)
        worker_settings = dataclasses.replace(settings, threads=threads, at_once=at_once, out=settings.out.resolve())
        share = 0.0 if settings.device.type != "cuda" or settings.ranks > 1 else 1.0 if alone else gpus
        yield functools.partial(_run, each, _Gpus(share)), worker_settings


@dataclasses.dataclass(frozen=True)
class _Gpus:
    """What trials take of a GPU: what is `given`, else what was measured for a trial of their row."""

    given: float | None
    known: dict[tuple[str, str], float] = dataclasses.field(default_factory=dict)

    def share_of(self, job: Job) -> float:
        """A share, 1 for a whole one."""
        return self.known.get((job.trial.workload, job.trial.label), 1.0) if self.given is None else self.given

    def capacity(self, jobs: Sequence[Job]) -> int:
        """How many of these the GPUs of a node hold at once."""
        import ray

        smallest = min(map(self.share_of, jobs))
        return int(max(node["Resources"].get("GPU", 0) for node in ray.nodes()) / smallest) if smallest else len(jobs)

    def measure(self, jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool]) -> None:
        """Measure the rows that are not known yet, unless every trial can have a GPU to itself.

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
    """An `Engine`: as many jobs at once as there is room for; Ray keeps the others waiting."""
    if not jobs:
        return
    import ray

    gpus.measure(jobs, settings, stopped)
    actor, settings = _progress_actor(), dataclasses.replace(settings, at_once=min(settings.at_once, len(jobs), gpus.capacity(jobs)))
    work, room = _remote_work(cpus, settings, len(jobs))
    for job in jobs:
        running.folder_of(job, settings).path.mkdir(parents=True, exist_ok=True)  # the worker looks for it
    tasks: dict[ObjectRef, Job] = {}
    watchers, waiting = {job.index: watch(job) for job in jobs}, collections.deque(jobs)
    asked = False
    while tasks or (waiting and not asked):
        while waiting and len(tasks) < room and not asked:
            job = waiting.popleft()
            tasks[work.options(num_gpus=gpus.share_of(job)).remote(_pack(job, settings), settings, actor)] = job
        ready, _ = ray.wait(list(tasks), timeout=_LOOK)
        _pass_on_messages(actor, watchers, stopped)
        for ref in ready:
            job = tasks.pop(ref)
            result = _result(ref, job, settings, stopped)
            if isinstance(result, list):
                yield job, result
            elif isinstance(result, Locked) or (isinstance(result, Interrupted) and not (asked or stopped())):
                waiting.append(job)  # another runner is at it, or its machine was told to stop and we were not
            elif isinstance(result, Interrupted):
                asked = True
            else:
                raise result
        if stopped() and not asked:
            asked = True
            with _stop_on_shutdown(stopped):
                ray.get(actor.ask_to_stop.remote())
    if asked:
        raise Interrupted


def _remote_work(cpus: int, settings: Settings, jobs: int) -> tuple[RemoteFunction, int]:
    """What runs a job as a task of Ray, and how many tasks to begin at once."""
    import ray

    if settings.ranks == 1:
        return ray.remote(max_retries=ray_worker.RETRIES, num_cpus=cpus)(ray_worker.work), jobs
    # Ray Train asks for the devices of the ranks
    return ray.remote(max_retries=ray_worker.RETRIES, num_cpus=0)(ray_worker.work_together), settings.at_once


def _pass_on_messages(actor: ActorHandle, watchers: Mapping[int, Progress], stopped: Callable[[], bool]) -> None:
    """Call the progress of each job with what its worker said since the last time."""
    import ray

    with _stop_on_shutdown(stopped):
        messages = ray.get(actor.take.remote())
    for index, name, arguments in messages:
        getattr(watchers[index], name)(*arguments)


def _pack(job: Job, settings: Settings) -> Job:
    """The job as a node gets it: where nodes share no disk, with the training that it judges."""
    folder = running.folder_of(job, settings)
    if settings.checkpoints is None or (attempt := folder.attempt()) is None or attempt in job.replaces:
        return job
    return dataclasses.replace(job, packed=folder.pack())


def _progress_actor() -> ActorHandle:
    """An actor on this node: it lives as long as the runner."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    home = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=home)(ray_worker.ProgressActor).remote()


@contextlib.contextmanager
def _stop_on_shutdown(stopped: Callable[[], bool]) -> Iterator[None]:
    """Turn an error of Ray into Interrupted where we were asked to stop: a scheduler sends that signal to Ray's processes too.

    Raises:
        Interrupted: that happened.
    """
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        if stopped():
            raise Interrupted from error
        raise


def _result(ref: ObjectRef, job: Job, settings: Settings, stopped: Callable[[], bool]) -> list[TrialRecord] | Exception:
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
