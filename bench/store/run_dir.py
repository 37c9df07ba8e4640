"""The folder of a trial, OUT/SUITE/trials/ID: checkpoints while it runs, its record afterwards. One process at a time works in it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UsageError
from bench.store.record import FRAMES, TrialRecord, read_head, read_record, write_head, write_record
from bench.store.records import Records, noted, tags_at_end, tags_at_start
from bench.text import one_line

_LOCK = "lock"
_NAMED = 10.0  # seconds that a new name waits for whoever works on a trial


class Held(Exception):
    """Another process works on this trial."""


@dataclasses.dataclass(frozen=True)
class RunDir:
    """The folder of one trial. `record/record.json` is written last: where it stands, the record is whole."""

    path: Path

    @property
    def results(self) -> Path:
        """The files of the record."""
        return self.path / "record"

    @contextlib.contextmanager
    def held(self, wait: float = 0.0) -> Iterator[None]:
        """Keep other processes out, waiting so many seconds for one that is in; the system frees the folder when this one dies, however it dies.

        Raises:
            Held: another process is in it.
            UsageError: it cannot be made.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK)
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise Held(str(self.path)) from error
        except OSError as error:
            raise UsageError(f"cannot work in {self.path}: {error.strerror}; give another --out") from error
        try:
            yield
        finally:
            lock.release()

    def attempt(self) -> str | None:
        """The name of the attempt whose record lies here; None where there is no whole record."""
        try:
            return str(read_head(self.results)["attempt"])
        except (OSError, ValueError, KeyError):  # the last: one of an older version
            return None

    def clear(self) -> None:
        """Forget what came of the trial, and its checkpoints."""
        self._delete_all_but(_LOCK)

    def close(self, record: TrialRecord) -> None:
        """Write the record, then drop the checkpoints: the last weights are among its files.

        Raises:
            UsageError: the disk is full or the folder cannot be written.
        """
        write_record(record, self.results)
        self.drop_checkpoints()

    def drop_checkpoints(self) -> None:
        """Delete them, those on parts of the batch and one that a kill cut short too."""
        self._delete_all_but(_LOCK, self.results.name)

    def _delete_all_but(self, *names: str) -> None:
        for entry in self.path.glob("*"):
            if entry.name not in names:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def read(self) -> TrialRecord:
        """The record, its gallery included.

        Raises:
            UsageError: it is damaged.
        """
        try:
            return read_record(self.results)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"the record in {self.path} is damaged ({one_line(str(error))}): it does not count; run it again, with --fresh where it is on record"
            ) from error

    def pack(self) -> bytes:
        """The files of the record in one archive, for a machine that does not see this disk."""
        with io.BytesIO() as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.add(self.results, arcname=".")
            return packed.getvalue()

    def unpack(self, packed: bytes) -> None:
        """Put such an archive here, in place of what came of the trial before.

        Raises:
            UsageError: the disk is full or the folder cannot be written.
        """

        def write(part: Path) -> None:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(part, filter="data")

        self._replace(write)

    def adopt(self, files: Path) -> None:
        """Put a copy of such files here, in place of what came of the trial before. Raises like `unpack`."""
        self._replace(lambda part: shutil.copytree(files, part))

    def _replace(self, write: Callable[[Path], object]) -> None:
        part = self.path / "record.part"
        try:
            self.clear()
            write(part)
            part.rename(self.results)
        except OSError as error:
            raise UsageError(f"cannot write the record {self.results}: {error}; free some space or give another --out") from error


class RunDirs(Records):
    """The records in the run directories of a suite: as good as those of the store, and there while no store answers."""

    def __init__(self, suite: str, out: Path) -> None:
        self.folder = out / suite / "trials"
        self.uri = str(self.folder)

    def of(self, trial_id: str) -> RunDir:
        """The folder of a trial, whether it is there or not."""
        return RunDir(self.folder / trial_id)

    def attempts(self) -> dict[str, str]:
        """Trial id -> its attempt, oldest first, of every whole record."""
        return {folder.path.name: head["attempt"] for folder, head in self._heads() if head.get("attempt")}

    def done(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags, oldest first."""
        records = (_without_frames(head) for _, head in self._heads())
        return {r.trial_id: tags_at_start(r) | tags_at_end(r) for r in records}

    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        """The records of these trials; galleries stay where they are."""
        return [self.newest(i) for i in trial_ids if (self.of(i).results / "record.json").is_file()]

    def newest(self, trial_id: str) -> TrialRecord:
        """The record of one trial."""
        return self.of(trial_id).read()

    def note(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change the name and place of a trial, where its record lies here."""
        folder = self.of(trial_id)
        if folder.attempt() is not None:
            with contextlib.suppress(Held, FileNotFoundError), folder.held(_NAMED):  # another process is at it, or has begun it afresh meanwhile
                write_head(noted(_without_frames(read_head(folder.results)), about), folder.results)

    def _heads(self) -> list[tuple[RunDir, dict[str, Any]]]:
        found = []
        for file in self.folder.glob("*/record/record.json"):
            with contextlib.suppress(OSError, ValueError):  # another process clears it just now; or a disk lost it
                found.append((RunDir(file.parent.parent), read_head(file.parent)))
        return sorted(found, key=lambda pair: (pair[1].get("ended", 0.0), pair[0].path.name))


def _without_frames(head: dict[str, Any]) -> TrialRecord:
    return TrialRecord.from_json(head | {name: pd.DataFrame(columns=list(columns)) for name, columns in FRAMES.items()})
