"""Runs the trials that are missing, each once, and puts them on record; one after another, or by `bench.scheduling.ray_engine`."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TypeVar

from typing_extensions import override

from bench.errors import UsageError
from bench.running import job as running
from bench.running.identify import Identity
from bench.running.job import Job
from bench.running.settings import Settings
from bench.scheduling.planner import Known, Planner
from bench.store.ledger import Ledger
from bench.store.record import TrialRecord
from bench.store.records import names_of
from bench.store.run_dir import Locked
from bench.store.stored import Point, Training
from bench.suites.trial import Trial
from bench.training.loop import Interrupted
from bench.training.outcome import DEVICE_LOST
from bench.training.progress import Progress

T = TypeVar("T")
R = TypeVar("R")
_LOGGED_EVERY = 5.0  # seconds between curves in the store, which takes longer than a small training
_LOCKED_AGAIN = 1.0  # seconds before trials that another runner is at are looked at again


class Display(Protocol):
    """Shows a run to the user."""

    def start(self, job: Job, total: int) -> Progress:
        """A job begins, of a run of so many trials."""


class Engine(Protocol):
    """Runs jobs somewhere and yields each with its records as it ends, in any order."""

    def __call__(
        self, jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool], watch: Callable[[Job], Progress]
    ) -> Iterator[tuple[Job, list[TrialRecord]]]:
        """Raises Interrupted once `stopped()` is true and what runs is saved."""


def run_serially(
    jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool], watch: Callable[[Job], Progress]
) -> Iterator[tuple[Job, list[TrialRecord]]]:
    """One after another in this process.

    Raises:
        UsageError: a trial failed in such a way that this process cannot use the GPU any more; it is on record.
    """
    for job, records in run_once(jobs, lambda job: running.run(job, settings, watch(job), stopped), stopped):
        yield job, records
        if lost := [record for record in records if DEVICE_LOST in record.tags]:
            raise UsageError(
                f"{lost[0].title}, seed {lost[0].seed}, ended with {lost[0].reason}: after that this process cannot use the GPU any more. "
                "What was finished is on record, this trial as failed; the same command goes on with the others"
            )


def run_once(jobs: Iterable[T], run: Callable[[T], R], stopped: Callable[[], bool]) -> Iterator[tuple[T, R]]:
    """Each job with what `run` makes of it. What another runner is at comes last: it may have been done by then.

    Raises:
        Interrupted: `stopped()` is true.
    """
    queue, locked = collections.deque(jobs), 0
    while queue:
        if stopped():
            raise Interrupted
        job = queue.popleft()
        try:
            yield job, run(job)
            locked = 0
        except Locked:
            queue.append(job)
            locked += 1
            if locked >= len(queue):
                time.sleep(_LOCKED_AGAIN)


def run_all(
    trials: Sequence[Trial], settings: Settings, ledger: Ledger, display: Display, *, fresh: bool = False, engine: Engine = run_serially
) -> list[TrialRecord]:
    """Train and judge what is not on record yet (all of it if `fresh`) and return the records of all trials, in order.

    Raises:
        Interrupted: the user asked to stop; what was finished is on record, the running trials are saved.
    """
    attempts = ledger.folders.attempts()  # looked up first: what another runner ends from here on is not replaced
    ledger.sync()
    known = Known(ledger.runs(), ledger.trials(), attempts)
    planner = Planner(settings, ledger, known, fresh)
    identities = [planner.identify(trial) for trial in trials]
    _rename(trials, identities, known, ledger)
    jobs = planner.jobs(trials, identities)
    for job in jobs:
        _drop_leftovers(job, settings, fresh)
    made: dict[str, TrialRecord] = {}
    shown: dict[int, Progress] = {}

    def watch(job: Job) -> Progress:
        def start() -> Progress:
            if job.index not in shown:  # it is, where a process died and another goes on
                shown[job.index] = display.start(job, len(trials))
            return shown[job.index]

        return _StoredProgress(start, running.new_training(job, settings), ledger)

    with graceful_stop() as stopped:
        for job, records in engine(jobs, settings, stopped, watch):
            ledger.put(running.folder_of(job, settings))
            running.mirror_of(job, settings).drop()
            made |= {record.trial_id: record for record in records}
            if job.index in shown:
                shown.pop(job.index).ended(records)
        if stopped():  # while the last one was put on record: what would come after it is not wanted either
            raise Interrupted
    return _all_records(trials, [identity.trial_id for identity in identities], made, ledger)


def _all_records(trials: Sequence[Trial], ids: Sequence[str], made: dict[str, TrialRecord], ledger: Ledger) -> list[TrialRecord]:
    """The records that were made, and those on record before. Raises UsageError where the store that holds them is away."""
    found = made | {record.trial_id: record for record in ledger.read([i for i in dict.fromkeys(ids) if i not in made])}
    if lost := [trial.title for trial, trial_id in zip(trials, ids, strict=True) if trial_id not in found]:
        raise UsageError(
            f"{len(lost)} results, the first of them {lost[0]}, are on record in a store that no longer answers; try again when it does"
        )
    return [found[trial_id] for trial_id in ids]


@dataclasses.dataclass
class _StoredProgress(Progress):
    """Passes the progress of a job on to the user, and its curves to the store, at most every few seconds."""

    start: Callable[[], Progress]
    training: Training
    ledger: Ledger
    view: Progress = dataclasses.field(default_factory=Progress)
    logged: float = dataclasses.field(default_factory=time.monotonic)

    @override
    def started(self) -> None:
        self.view = self.start()

    @override
    def update(self, step: int, images_per_s: float, values: Mapping[str, float]) -> None:
        self.view.update(step, images_per_s, values)

    @override
    def evaluating(self, done: int, total: int) -> None:
        self.view.evaluating(done, total)

    @override
    def curves(self, points: Sequence[Point]) -> None:
        if time.monotonic() - self.logged > _LOGGED_EVERY:
            self.ledger.curves(self.training, points)
            self.logged = time.monotonic()


def _rename(trials: Sequence[Trial], identities: Sequence[Identity], known: Known, ledger: Ledger) -> None:
    """Give trials on record the names that the suite has for them now."""
    for trial, identity in zip(trials, identities, strict=True):
        tags, names = known.trials.get(identity.trial_id), names_of(trial)
        if tags is not None and any(tags.get(k, "") != v for k, v in names.items()):
            ledger.rename(identity.trial_id, names)


def _drop_leftovers(job: Job, settings: Settings, fresh: bool) -> None:
    """Delete what a new attempt must not go on from: copies that a killed runner left; where it is to be fresh, checkpoints too."""
    folder = running.folder_of(job, settings)
    attempt = folder.attempt()
    if fresh or attempt in job.replaces:
        running.mirror_of(job, settings).drop()
    if fresh and attempt is None and folder.path.is_dir():
        with contextlib.suppress(Locked), folder.lock():
            if folder.attempt() is None:
                folder.clear()


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) asks the running trials to stop at their next update; the second stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
