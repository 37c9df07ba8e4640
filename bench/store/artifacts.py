"""The files of a run in MLflow: the record of its trial, found beside the database wherever that was moved to."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.store import sqlite
from bench.store.record import FRAMES, TrialRecord, read_record
from bench.store.records import noted
from bench.store.run_dir import RunDirs
from bench.text import first_line


class Artifacts:
    """Those of one suite's runs."""

    def __init__(self, client: Any, suite: str, out: Path, home: Path | None) -> None:
        """Of a store.

        Args:
            client: MLflow's.
            suite: the suite's name.
            out: the output folder, whose run directories may hold what is lost here.
            home: the folder of a database in a file; None for other stores.
        """
        self._client, self._suite, self._out, self._home = client, suite, out, home

    def record(self, run: Any, scratch: Path | None = None) -> TrialRecord:
        """What one closed run of MLflow holds. Raises UsageError where its files cannot be read."""
        run_id, tags = run.info.run_id, run.data.tags
        try:
            if (home := self.folder(run)) is not None:  # here already: a download would ask the store thrice a record
                record = noted(read_record(home / "trial"), tags)
                record.gallery = record.gallery if scratch is not None else None
                return record
            if scratch is not None:
                (scratch / run_id).mkdir()
                return noted(read_record(Path(self._client.download_artifacts(run_id, "trial", str(scratch / run_id)))), tags)
            with tempfile.TemporaryDirectory() as folder:
                for name in ("record.json", *(f"{frame}.parquet" for frame in FRAMES)):
                    path = self._client.download_artifacts(run_id, f"trial/{name}", folder)
                return noted(read_record(Path(path).parent), tags)
        except Exception as error:
            lost = f"the artifacts of run {run_id} ({tags.get('label')}) cannot be read: {first_line(error)}"
            raise UsageError(f"{lost}; {self._mend(tags)}") from error

    def file(self, run: Any, name: str, scratch: Path) -> Path | None:
        """A file of a run's record, brought into `scratch` unless it lies on this machine; None where there is none of that name."""
        if (home := self.folder(run)) is not None:
            return path if (path := home / "trial" / name).is_file() else None
        run_id = run.info.run_id
        if not any(file.path == f"trial/{name}" for file in self._client.list_artifacts(run_id, "trial")):
            return None
        return Path(self._client.download_artifacts(run_id, f"trial/{name}", str(scratch)))

    def folder(self, run: Any) -> Path | None:
        """The artifacts of a run, where they lie on this machine: beside the database, wherever that was moved or is seen from, else as written."""
        uri = run.info.artifact_uri
        beside = sqlite.artifacts_of(self._home, self._suite, run.info.run_id) if self._home else None
        return sqlite.folder_of(sqlite.home_of(uri, beside) if beside else uri)

    def take(self, run_id: str, files: Path) -> None:
        """Put files among the artifacts of a run."""
        home = self.folder(self._client.get_run(run_id)) if self._home else None
        if home is None:
            self._client.log_artifacts(run_id, str(files), "trial")
        else:
            shutil.copytree(files, home / "trial", dirs_exist_ok=True)

    def _mend(self, tags: Mapping[str, str]) -> str:
        """What to do about a run whose artifacts are lost."""
        folder = RunDirs(self._suite, self._out).of(tags["trial_id"])
        with contextlib.suppress(UsageError):
            if folder.attempt() == tags.get("attempt") and folder.read():
                return f"its run directory is whole: `runner.py rebuild --out {shlex.quote(str(self._out))}` makes the database there anew from it"
        return "its run directory does not hold it either: run it again with --fresh"
