"""Which trials run, and why: the missing ones, each put on record once. Here, one after another; or on many processes, see `bench.scheduling.ray_engine`."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from bench.errors import Unavailable, UsageError
from bench.running import trial as life
from bench.running.attempt import Watcher
from bench.running.settings import Settings
from bench.store.identity import id_of
from bench.store.ledger import Ledger
from bench.store.record import Point, TrialRecord
from bench.store.records import notes, tags_of
from bench.store.run_dir import Held
from bench.suites.trial import Trial
from bench.training.build import build, open_task
from bench.training.loop import Interrupted

_LOGGED_EVERY = 5.0  # seconds between curves in the store, which takes longer than a small training
_HELD_AGAIN = 1.0  # seconds before trials that another runner is at are looked at again


class View(Protocol):
    """What is shown of one running trial."""

    def update(self, step: int, images_per_s: float, values: dict[str, float]) -> None:
        """A window of updates is done."""

    def evaluating(self, done: int, total: int) -> None:
        """Pictures judged so far."""

    def end(self, record: TrialRecord) -> None:
        """It is on record."""


class Display(Protocol):
    """Who looks on while a suite runs."""

    def start(self, trial: Trial, index: int, total: int, why: str) -> View:
        """A trial begins; `why` says what changed since the one on record."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A trial that is to run.

    Attributes:
        index: its place among all that were asked for.
        parts: what decides its result, see `bench.store.identity`.
        stale: the attempt on record that it replaces.
    """

    index: int
    trial: Trial
    parts: Mapping[str, str]
    stale: str | None


class Engine(Protocol):
    """Runs jobs somewhere and yields each with its record as it ends, in any order."""

    def __call__(
        self, jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool], watch: Callable[[Job], Watcher]
    ) -> Iterator[tuple[Job, TrialRecord]]:
        """Raises Interrupted once `stopped()` is true and what runs is saved."""


def here(jobs: Sequence[Job], settings: Settings, stopped: Callable[[], bool], watch: Callable[[Job], Watcher]) -> Iterator[tuple[Job, TrialRecord]]:
    """One after another in this process. What another runner is at comes last: it may have been done by then."""
    queue, held = collections.deque(jobs), 0
    while queue:
        if stopped():
            raise Interrupted
        job = queue.popleft()
        try:
            yield job, life.run(job.trial, settings, watch(job), stopped, job.stale)
            held = 0
        except Held:
            queue.append(job)
            held += 1
            if held >= len(queue):
                time.sleep(_HELD_AGAIN)


def run_all(
    trials: Sequence[Trial], settings: Settings, ledger: Ledger, display: Display, *, fresh: bool = False, engine: Engine = here
) -> list[TrialRecord]:
    """Run the trials that are not on record yet (all of them if `fresh`) and return the records of all, in order.

    Raises:
        Interrupted: the user asked to stop; what was finished is on record, the running trials are saved.
    """
    before = ledger.folders.attempts()  # looked up first: what another runner ends from here on is not stale
    ledger.sync()
    done = ledger.done()
    ids, jobs, made = [], [], {}
    for index, trial in enumerate(trials):
        parts = life.identify(trial, settings) if fresh else _identify(trial, settings, done)
        ids.append(id_of(parts))
        known = done.get(ids[-1], {})
        if known and any(known.get(k, "") != v for k, v in notes(trial).items()):  # it ran before under another name
            ledger.note(ids[-1], notes(trial))
        outcome = known.get("outcome", "")
        if fresh or outcome in ("", "failed") or (outcome == "skipped" and _can_run_now(trial, settings)):
            jobs.append(Job(index, trial, parts, before.get(ids[-1])))
            _drop_leftovers(trial, ids[-1], settings, fresh, before)
    latest = {_place(tags): trial_id for trial_id, tags in done.items()}
    views: dict[int, View] = {}

    def watch(job: Job) -> _Onlooker:
        def start() -> View:
            if job.index not in views:  # it is, where a process died and another goes on
                reason = why(job.parts, ledger, latest.get(_place(tags_of(job.trial))))
                views[job.index] = display.start(job.trial, job.index, len(trials), reason)
            return views[job.index]

        return _Onlooker(start, lambda points: ledger.curves(life.blank(job.trial, settings), points))

    with graceful_stop() as stopped:
        for job, record in engine(jobs, settings, stopped, watch):
            ledger.put(life.folder_of(job.trial, record.trial_id, settings))
            life.depot_of(job.trial, record.trial_id, settings).drop()
            made[record.trial_id] = record
            if job.index in views:
                views.pop(job.index).end(record)
        if stopped():  # while the last one was put on record: what would come after it is not wanted either
            raise Interrupted
    made |= {record.trial_id: record for record in ledger.read(ids)}
    if lost := [trial.title for trial, trial_id in zip(trials, ids, strict=True) if trial_id not in made]:
        raise UsageError(f"{len(lost)} results, the first of them {lost[0]}, are on record in a store that no longer answers; try again when it does")
    return [made[trial_id] for trial_id in ids]


@dataclasses.dataclass
class _Onlooker:
    """Shows a trial to the user, and its curves in the store at most every few seconds."""

    start: Callable[[], View]
    log: Callable[[Sequence[Point]], None]
    view: View | None = None
    logged: float = dataclasses.field(default_factory=time.monotonic)

    def started(self) -> None:
        self.view = self.start()

    def update(self, step: int, images_per_s: float, values: dict[str, float]) -> None:
        if self.view:
            self.view.update(step, images_per_s, values)

    def evaluating(self, done: int, total: int) -> None:
        if self.view:
            self.view.evaluating(done, total)

    def curves(self, points: Sequence[Point]) -> None:
        if time.monotonic() - self.logged > _LOGGED_EVERY:
            self.log(points)
            self.logged = time.monotonic()


def why(parts: Mapping[str, str], ledger: Ledger, before: str | None) -> str:
    """What changed since `before`, the latest trial on record of the same row, seed and tier; empty where there is none."""
    if before is None:
        return ""
    try:
        record = ledger.newest(before)
    except UsageError:  # its files are damaged, which only those who need them mind
        return ""
    if record is None:
        return ""
    changed = [k for k in {**parts, **record.parts} if record.parts.get(k) != parts.get(k)]  # options first, then data, cards, code
    if not changed:
        return {"failed": "it failed before", "skipped": "it can run now"}.get(record.outcome, "asked to run afresh")
    return f"{', '.join(changed[:4])}{' and others' if len(changed) > 4 else ''} changed"


def _identify(trial: Trial, settings: Settings, done: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What decides its result. One that fitted into memory as it is need not run again for being allowed to run in parts."""
    if settings.on_oom != "fail":
        whole = life.identify(trial, dataclasses.replace(settings, on_oom="fail"))
        if done.get(id_of(whole), {}).get("outcome") == "finished":
            return whole
    return life.identify(trial, settings)


def _drop_leftovers(trial: Trial, trial_id: str, settings: Settings, fresh: bool, before: Mapping[str, str]) -> None:
    """Drop what a new attempt must not go on from: copies that a runner which was killed did not come to delete; all, where it is to be fresh."""
    folder = life.folder_of(trial, trial_id, settings)
    if fresh or trial_id in before:
        life.depot_of(trial, trial_id, settings).drop()
    if fresh and trial_id not in before and folder.path.is_dir():
        with contextlib.suppress(Held), folder.held():
            if folder.attempt() is None:
                folder.clear()


def _place(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The row, seed and tier of a trial, and its purpose."""
    older = {"workload": "", "role": "row", "tried": "{}"}  # records that know of no such tags
    return tuple((older | dict(tags))[name] for name in ("label", "seed", "tier", "workload", "role", "tried"))


def _can_run_now(trial: Trial, settings: Settings) -> bool:
    """Whether what was missing when the trial was skipped, such as a weight, has come."""
    try:
        build(trial, open_task(str(trial.task), settings.data_root, settings.device))
    except Unavailable:
        return False
    return True


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
