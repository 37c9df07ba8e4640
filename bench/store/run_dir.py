"""The folder of a run, OUT/SUITE/trials/ID: checkpoints while it trains, then its record and judgements. One process works in it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from typing_extensions import override

from bench.errors import UsageError
from bench.store.record import TrialRecord, join
from bench.store.record_files import RECORD, attempt_in, read_head, read_judgement, read_run, read_whole, write, write_head
from bench.store.records import Records, tags_of_judgement, tags_of_run, with_names
from bench.store.stored import ClaimCheck, Judgement, Run, Training
from bench.text import one_line

_LOCK, _JUDGEMENTS = "lock", "judgements"
_RENAME_PATIENCE = 10.0  # seconds that a new name waits for whoever works on a trial


class Locked(Exception):
    """Another process works in this folder."""


@dataclasses.dataclass(frozen=True)
class RunDir:
    """The folder of one run. The record.json of a record is written last: where it stands, the record is whole."""

    path: Path

    @property
    def results(self) -> Path:
        """The files of the run's record."""
        return self.path / RECORD

    def judged(self, trial_id: str) -> Path:
        """The files of a judgement."""
        return self.path / _JUDGEMENTS / trial_id

    @contextlib.contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Keep other processes out; the system frees the folder when this process dies, however it dies.

        Args:
            wait: seconds to wait for a process that is in it.

        Raises:
            Locked: another process is in it.
            UsageError: it cannot be made.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK)
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise Locked(str(self.path)) from error
        except OSError as error:
            raise UsageError(f"cannot work in {self.path}: {error.strerror}; give another --out") from error
        try:
            yield
        finally:
            lock.release()

    # -- what lies here
    def attempt(self) -> str | None:
        """The name of the attempt whose record lies here; None where there is no whole record."""
        return attempt_in(self.results)

    def attempts(self) -> dict[str, str]:
        """Id -> attempt of every whole record here, the run's own first."""
        found = [read_whole(file) for file in (self.results, *sorted(self.path.glob(f"{_JUDGEMENTS}/*")))]
        return {record.id: record.attempt for record in found if record}

    def read(self, *, frames: bool = True) -> Run:
        """The record of the run.

        Raises:
            UsageError: it is damaged, or of another version.
        """
        with self._report_damage(self.results):
            return read_run(self.results, frames=frames)

    def read_training(self) -> Training:
        """The record of the run, which is a training. Raises like `read`."""
        run = self.read()
        if not isinstance(run, Training):
            raise UsageError(f"{self.path} holds a {run.kind}, not a training")
        return run

    def read_judgement(self, trial_id: str, *, frames: bool = True) -> Judgement:
        """One judgement. Raises like `read`."""
        with self._report_damage(self.judged(trial_id)):
            return read_judgement(self.judged(trial_id), frames=frames)

    def read_all(self) -> tuple[Run, list[Judgement]]:
        """The record of the run and every judgement. Raises like `read`."""
        run = self.read()
        return run, [self.read_judgement(trial_id) for trial_id in self.attempts() if trial_id != run.id]

    def read_trial(self, trial_id: str) -> TrialRecord:
        """The training and a judgement of it. Raises like `read`."""
        gallery = self.judged(trial_id) / "gallery"
        return join(self.read_training(), self.read_judgement(trial_id), gallery if gallery.is_dir() else None)

    @contextlib.contextmanager
    def _report_damage(self, folder: Path) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, TypeError, KeyError) as error:
            damage = f"the record in {folder} is damaged ({one_line(str(error))})"
            raise UsageError(f"{damage}: it does not count; run it again, with --fresh where it is on record") from error

    # -- what is put here
    def close(self, run: Run) -> None:
        """Write the record of the run, then drop the checkpoints, and judgements of weights that are no more.

        Raises:
            UsageError: the disk is full or the folder cannot be written.
        """
        write(run, self.results)
        self.drop_checkpoints()
        if isinstance(run, Training):
            for folder in self.path.glob(f"{_JUDGEMENTS}/*"):
                judgement = read_whole(folder)
                if not (isinstance(judgement, Judgement) and judgement.weights == run.weights):
                    shutil.rmtree(folder)

    def judge(self, judgement: Judgement) -> None:
        """Write a judgement. Raises like `close`."""
        write(judgement, self.judged(judgement.id))

    def drop_checkpoints(self) -> None:
        """Delete them, those on parts of the batch and one that a kill cut short too."""
        self._delete_all_but(_LOCK, RECORD, _JUDGEMENTS)

    def clear(self) -> None:
        """Delete the record of the run and its checkpoints. Judgements stay; `close` keeps those of the same weights."""
        self._delete_all_but(_LOCK, _JUDGEMENTS)

    def _delete_all_but(self, *names: str) -> None:
        for entry in self.path.glob("*"):
            if entry.name not in names:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    # -- copies
    def pack(self) -> bytes:
        """The files of all records here in one archive, for a machine that does not see this disk."""
        with io.BytesIO() as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                for name in (RECORD, _JUDGEMENTS):
                    if (self.path / name).is_dir():
                        archive.add(self.path / name, arcname=name)
            return packed.getvalue()

    def unpack(self, packed: bytes, replaces: Collection[str] = ()) -> None:
        """Take the records of such an archive. See `adopt`."""
        with tempfile.TemporaryDirectory(prefix="ganbench-") as folder:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
            self.adopt(Path(folder), replaces)

    def adopt(self, source: Path, replaces: Collection[str] = ()) -> None:
        """Copy the records of a folder laid out like this one: each where there is none here, or an attempt in `replaces`.

        Raises:
            UsageError: the disk is full or the folder cannot be written.
        """
        judgements = [f"{_JUDGEMENTS}/{folder.name}" for folder in source.glob(f"{_JUDGEMENTS}/*")]
        names = [name for name in (RECORD, *judgements) if (source / name).is_dir()]
        try:
            for name in names:
                if (here := attempt_in(self.path / name)) is None or here in replaces:
                    self._copy(source / name, self.path / name)
        except OSError as error:
            raise UsageError(f"cannot write the record {self.path}: {error}; free some space or give another --out") from error

    def _copy(self, source: Path, target: Path) -> None:
        if target == self.results:
            self.clear()
        part = self.path / "record.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        part.rename(target)


class RunDirs(Records):
    """The records in the run directories of a suite: as good as those of the store, and there while no store answers."""

    def __init__(self, suite: str, out: Path) -> None:
        self.folder = out / suite / "trials"
        self.uri = str(self.folder)

    def of(self, run_id: str) -> RunDir:
        """The folder of a run, whether it is there or not."""
        return RunDir(self.folder / run_id)

    def attempts(self) -> dict[str, dict[str, str]]:
        """Run id -> the attempts of its records (id -> attempt), oldest run first, of every run with a whole record."""
        return {folder.path.name: folder.attempts() for folder, _ in self._runs()}

    @override
    def runs(self) -> dict[str, dict[str, str]]:
        return {run.id: tags_of_run(run) for _, run in self._runs()}

    @override
    def trials(self) -> dict[str, dict[str, str]]:
        found = [(run, judgement) for folder, run in self._runs() if isinstance(run, Training) for judgement in self._judgements(folder)]
        found = sorted(found, key=lambda pair: (pair[1].ended, pair[1].id))
        return {judgement.id: tags_of_run(run) | tags_of_judgement(run, judgement) for run, judgement in found}

    @override
    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        where = {file.name: RunDir(file.parents[1]) for file in self.folder.glob(f"*/{_JUDGEMENTS}/*")}
        return [where[i].read_trial(i) for i in trial_ids if i in where and where[i].attempt() and attempt_in(where[i].judged(i))]

    @override
    def rename(self, trial_id: str, about: Mapping[str, str]) -> None:
        for file in self.folder.glob(f"*/{_JUDGEMENTS}/{trial_id}"):
            folder = RunDir(file.parents[1])  # which may be begun afresh meanwhile
            with contextlib.suppress(Locked, OSError, ValueError), folder.lock(_RENAME_PATIENCE):
                write_head(with_names(read_judgement(file, frames=False), about), file)

    def older(self) -> int:
        """How many results of an earlier version lie here, which are not read."""
        count = 0
        for file in self.folder.glob(f"*/{RECORD}/record.json"):
            with contextlib.suppress(OSError, ValueError):
                count += "kind" not in read_head(file.parent)
        return count

    def _runs(self) -> list[tuple[RunDir, Run]]:
        found = [(RunDir(file.parents[1]), read_whole(file.parent)) for file in self.folder.glob(f"*/{RECORD}/record.json")]
        runs = [(folder, run) for folder, run in found if isinstance(run, (Training, ClaimCheck))]
        return sorted(runs, key=lambda pair: (pair[1].ended, pair[1].id))

    def _judgements(self, folder: RunDir) -> list[Judgement]:
        found = [read_whole(file) for file in folder.path.glob(f"{_JUDGEMENTS}/*")]
        return [judgement for judgement in found if isinstance(judgement, Judgement)]
