"""How results come on record: each lies whole in its run directory first, then enters the store, once, as soon as it answers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bench.errors import UsageError
from bench.store.mlflow_connection import StoreUnavailable
from bench.store.mlflow_store import Store
from bench.store.record import TrialRecord
from bench.store.records import Records
from bench.store.run_dir import Locked, RunDir, RunDirs
from bench.store.stored import ClaimCheck, Point, Training

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
        self._has_answered = False  # once it has, nothing that happens to it ends a run
        self._is_away, self._next_try = False, 0.0  # the latter in seconds of the monotonic clock
        self._connect()

    def runs(self) -> dict[str, dict[str, str]]:
        """Run id -> tags of every run on record, oldest first; of the run directories while the store is away."""
        return self._query_or_fallback(lambda records: records.runs())

    def trials(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags of every judgement on record, oldest first; of the run directories while the store is away."""
        return self._query_or_fallback(lambda records: records.trials())

    def read(self, trial_ids: Iterable[str]) -> list[TrialRecord]:
        """The records of these trials, in their order, of those that are found."""
        return self._query_or_fallback(lambda records: records.read(trial_ids))

    def claims(self, run_ids: Iterable[str]) -> list[ClaimCheck]:
        """The records of these runs, which are checks of claims, of those that are found."""
        ids = list(run_ids)
        if (found := self._query(lambda store: store.claims(ids))) is not None:
            return found
        made = [self.folders.of(i).read() for i in ids if self.folders.of(i).attempt()]
        return [check for check in made if isinstance(check, ClaimCheck)]

    def facts(self, training_id: str, trial_id: str) -> tuple[dict[str, str], dict[str, str]]:
        """What decided the weights and the scores of a trial on record. Raises UsageError where it cannot be read."""
        with contextlib.suppress(UsageError):
            folder = self.folders.of(training_id)
            return folder.read(frames=False).facts, folder.read_judgement(trial_id, frames=False).facts
        if (record := self._query(lambda store: store.newest(trial_id))) is None:
            raise UsageError(f"trial {trial_id} cannot be read")
        return record.training_facts, record.judging_facts

    def bring(self, run_id: str) -> bool:
        """Put the records of a run that only the store holds, weights and all, into its run directory. Returns whether there were any."""
        folder = self.folders.of(run_id)
        with contextlib.suppress(Locked, UsageError), folder.lock():
            return bool(self._query(lambda store: store.bring(run_id, folder)))
        return False

    def older(self) -> str:
        """A line about results of an earlier version, which are not read; empty where there are none."""
        count = self.folders.older() or self._query(lambda store: store.older()) or 0
        kept = "keep them with the version that made them, or give another --out"
        return (
            f"{count} results of an earlier version lie in {self.records.uri}: they are left alone and not shown; {kept}" if count else ""
        )

    @property
    def records(self) -> Records:
        """Where to read: the store, or the run directories while it is away."""
        return self._query(Store.ping) or self.folders

    def curves(self, training: Training, points: Sequence[Point]) -> None:
        """Show the curves of a training that is under way."""
        self._query(lambda store: store.curves(store.begin(training), points))

    def put(self, folder: RunDir, wait: float = 10.0) -> bool:
        """Put the records of a run directory that the store lacks into it, unless the run has begun afresh. Returns whether it did."""
        with contextlib.suppress(Locked), folder.lock(wait):  # another runner may be putting it there just now
            if folder.attempt() is not None:
                try:
                    run, judgements = folder.read_all()
                except UsageError as error:  # it is damaged
                    self._tell(str(error))
                    return False
                folder.drop_checkpoints()  # whoever wrote the record may have been killed before that
                return bool(self._query(lambda store: store.put(folder, run, judgements)))
        return False

    def sync(self) -> int:
        """Take in every record that the store does not hold, oldest first. Returns how many runs that concerned."""
        known = self._query(lambda store: store.attempts())
        missing = [run_id for run_id, made in self.folders.attempts().items() if known is not None and not known.issuperset(made.values())]
        return sum(self.put(self.folders.of(run_id), 0.0) for run_id in missing)

    def rename(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change what a suite says of a trial on record: its name and its place."""
        self.folders.rename(trial_id, about)
        self._query(lambda store: store.rename(trial_id, about))

    def _query_or_fallback(self, question: Callable[[Records], _T]) -> _T:
        answer = self._query(question)
        return question(self.folders) if answer is None else answer

    def _query(self, question: Callable[[Store], _T]) -> _T | None:
        """The store's answer; None while it is away."""
        if (store := self._connect()) is None:
            return None
        asked = time.monotonic()
        try:
            return question(store)
        except StoreUnavailable as error:
            self._mark_unavailable(error, asked)
            return None

    def _connect(self) -> Store | None:
        """The store, or None while it is away. When it answers again it first takes in what had to wait."""
        if self._store is None and (asked := time.monotonic()) >= self._next_try:
            try:
                self._store = Store(*self._where)
            except UsageError as error:
                if not (self._has_answered or isinstance(error, StoreUnavailable)):
                    raise
                self._mark_unavailable(error, asked)
                return None
            self._has_answered = True
            if self._is_away:
                self._is_away = False
                count = self.sync()
                if not self._is_away:
                    self._tell(f"the tracking store answers again: {count} results that had to wait have entered it")
        return self._store

    def _mark_unavailable(self, error: UsageError, asked: float) -> None:
        """Leave the store alone for a while, longer if it took long; the user hears of it once.

        Args:
            error: why.
            asked: when it was asked, in seconds of the monotonic clock.
        """
        if not self._is_away:
            self._tell(f"{error}. Work goes on; results wait in {self.folders.uri} and follow when it answers, or with `runner.py sync`")
        now = time.monotonic()
        self._is_away, self._store, self._next_try = True, None, now + max(_PAUSE, _PATIENCE * (now - asked))
