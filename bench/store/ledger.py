"""How results come on record: each lies whole in its run directory first, then enters the store, once. What the store does not take waits there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bench.errors import UsageError
from bench.store.mlflow_store import Away, Store
from bench.store.record import Point, TrialRecord
from bench.store.records import Records
from bench.store.run_dir import Held, RunDir, RunDirs

_PAUSE = 30.0  # seconds before a store that did not answer is asked again
_PATIENCE = 10.0  # times as long as it was waited for, at least: one that stalls takes a tenth of the time at most
_T = TypeVar("_T")


class Ledger:
    """The records of one suite: its run directories, and the store that takes them in while it answers."""

    def __init__(self, suite: str, out: Path, uri: str | None = None, tell: Callable[[str], None] = print) -> None:
        """Open the store; without an answer from a server work goes on.

        Args:
            suite: the suite's name.
            out: the output folder.
            uri: the store, where it is not the default one (see `Store`).
            tell: what hears that the store does not answer, or does so again.

        Raises:
            UsageError: the store can never be opened.
        """
        self.folders = RunDirs(suite, out)
        self._where, self._tell = (suite, out, uri), tell
        self._store: Store | None = None
        self._opened = False  # whether it ever answered: then nothing that happens to it ends a run
        self._missed, self._again = False, 0.0  # whether it is away, and when it is asked again
        self._connected()

    def done(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags of every trial on record, oldest first; of the run directories while the store is away."""
        return self._of(lambda records: records.done())

    def read(self, trial_ids: Iterable[str]) -> list[TrialRecord]:
        """The records of these trials, in their order, of those that are found."""
        return self._of(lambda records: records.read(trial_ids))

    def newest(self, trial_id: str) -> TrialRecord | None:
        """The record of one trial, found without a look at the others; None where it is being replaced and no store holds it."""
        with contextlib.suppress(IndexError):
            if (record := self._ask(lambda store: store.newest(trial_id))) is not None:
                return record
        return next(iter(self.folders.read([trial_id])), None)

    @property
    def records(self) -> Records:
        """Where to read: the store, or the run directories while it is away."""
        return self._ask(Store.itself) or self.folders

    def curves(self, record: TrialRecord, points: Sequence[Point]) -> None:
        """Show the curves of a trial that is under way."""
        self._ask(lambda store: store.curves(store.begin(record), points))

    def put(self, folder: RunDir, wait: float = 10.0) -> bool:
        """Take in the record of a run directory, unless the store holds it, or another runner has begun the trial afresh. Returns whether it did."""
        with contextlib.suppress(Held), folder.held(wait):  # another runner may be putting it there just now
            if folder.attempt() is not None:
                try:
                    record = folder.read()
                except UsageError as error:
                    self._tell(str(error))
                    return False
                folder.drop_checkpoints()  # whoever wrote the record may have been killed before that
                return bool(self._ask(lambda store: store.put(record, folder.results)))
        return False

    def sync(self) -> int:
        """Take in every record that the store does not hold, oldest first. Returns how many there were."""
        known = self._ask(lambda store: store.attempts())
        missing = [trial_id for trial_id, attempt in self.folders.attempts().items() if known is not None and attempt not in known]
        return sum(self.put(self.folders.of(trial_id), 0.0) for trial_id in missing)

    def note(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change what a suite says of a trial on record: its name and its place."""
        self.folders.note(trial_id, about)
        self._ask(lambda store: store.note(trial_id, about))

    def _of(self, question: Callable[[Records], _T]) -> _T:
        answer = self._ask(question)
        return question(self.folders) if answer is None else answer

    def _ask(self, question: Callable[[Store], _T]) -> _T | None:
        """The store's answer; None while it is away."""
        if (store := self._connected()) is None:
            return None
        asked = time.monotonic()
        try:
            return question(store)
        except Away as error:
            self._lose(error, asked)
            return None

    def _connected(self) -> Store | None:
        """The store. One that was away and answers again first takes in what had to wait."""
        if self._store is None and (asked := time.monotonic()) >= self._again:
            try:
                self._store = Store(*self._where)
            except UsageError as error:
                if not (self._opened or isinstance(error, Away)):
                    raise
                self._lose(error, asked)
                return None
            self._opened = True
            if self._missed:
                self._missed = False
                count = self.sync()
                if not self._missed:
                    self._tell(f"the tracking store answers again: {count} results that had to wait have entered it")
        return self._store

    def _lose(self, error: UsageError, asked: float) -> None:
        """It does not answer what it was asked then; the user hears of it once."""
        if not self._missed:
            self._tell(f"{error}. Work goes on; results wait in {self.folders.uri} and follow when it answers, or with `runner.py sync`")
        now = time.monotonic()
        self._missed, self._store, self._again = True, None, now + max(_PAUSE, _PATIENCE * (now - asked))
