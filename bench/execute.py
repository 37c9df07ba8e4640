"""Which trials run, in which order, here in this process: the missing ones, and why each is missing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from bench import trial as life
from bench.errors import Unavailable
from bench.identity import id_of
from bench.record import TrialRecord
from bench.suite import Trial
from bench.tracking import Store, notes, tags_of
from bench.training import Interrupted
from bench.trial import Settings


class Display(life.Display, Protocol):
    """Who looks on while a suite runs."""

    def start(self, trial: Trial, index: int, total: int, why: str) -> None:
        """A trial begins; `why` says what changed since the one on record."""

    def end(self, trial: Trial, record: TrialRecord) -> None:
        """A trial is on record."""


def run_all(trials: Sequence[Trial], settings: Settings, store: Store, display: Display, *, fresh: bool = False) -> list[TrialRecord]:
    """Run the trials that are not on record yet (all of them if `fresh`) and return the records of all, in order.

    Raises:
        Interrupted: the user asked to stop; what was finished is on record, the running trial is saved.
    """
    done = store.done()
    ids, missing = [], []
    for index, trial in enumerate(trials):
        parts = life.identify(trial, settings)
        ids.append(id_of(parts))
        known = done.get(ids[-1], {})
        if known and any(known.get(k, "") != v for k, v in notes(trial).items()):  # it ran before under another name
            store.note(ids[-1], notes(trial))
        outcome = known.get("outcome", "")
        if fresh or outcome in ("", "failed") or (outcome == "skipped" and _can_run_now(trial, settings)):
            missing.append((index, trial, parts))
    latest = {_place(tags): trial_id for trial_id, tags in done.items()}
    with graceful_stop() as stopped:
        for index, trial, parts in missing:
            if stopped():
                raise Interrupted
            display.start(trial, index, len(trials), why(parts, store, latest.get(_place(tags_of(trial)))))
            display.end(trial, life.run(trial, settings, store, display, stopped, fresh=fresh))
        if stopped():  # while the last one was put on record: what would come after it is not wanted either
            raise Interrupted
    return store.read(ids)


def why(parts: dict[str, str], store: Store, before: str | None) -> str:
    """What changed since `before`, the latest trial on record of the same row, seed and tier; empty where there is none."""
    if before is None:
        return ""
    record = store.newest(before)
    changed = [k for k in {**parts, **record.parts} if record.parts.get(k) != parts.get(k)]  # options first, then data, cards, code
    if not changed:
        return {"failed": "it failed before", "skipped": "it can run now"}.get(record.outcome, "asked to run afresh")
    return f"{', '.join(changed[:4])}{' and others' if len(changed) > 4 else ''} changed"


def _place(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The row, seed and tier of a trial, and its purpose."""
    older = {"workload": "", "role": "row", "tried": "{}"}  # records that know of no such tags
    return tuple((older | dict(tags))[name] for name in ("label", "seed", "tier", "workload", "role", "tried"))


def _can_run_now(trial: Trial, settings: Settings) -> bool:
    """Whether what was missing when the trial was skipped, such as a weight, has come."""
    try:
        life.build(trial, life.open_task(str(trial.task), settings.data_root, settings.device))
    except Unavailable:
        return False
    return True


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) asks the running trial to stop at its next update; the second stops at once."""
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
