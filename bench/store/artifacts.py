"""The files of a run in MLflow: its records, found beside the database wherever that was moved to."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store import sqlite
from bench.store.record import TrialRecord, join
from bench.store.record_files import HEAD, read_judgement, read_run
from bench.store.records import with_names
from bench.store.run_dir import RunDir, RunDirs
from bench.store.stored import Run, Training
from bench.text import first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun


class Artifacts:
    """The files of one suite's runs: the folder `record` of the run's own record, `judgements/ID` of a judgement."""

    def __init__(self, client: MlflowClient, suite: str, out: Path, home: Path | None) -> None:
        """Find them through a store.

        Args:
            client: MLflow's.
            suite: the suite's name.
            out: the output folder, whose run directories may hold what is lost here.
            home: the folder of a database in a file; None for other stores.
        """
        self._client, self._suite, self._out, self._home = client, suite, out, home

    def trial(self, run: MlflowRun, trial_id: str, names: Mapping[str, str], scratch: Path | None = None) -> TrialRecord:
        """A judgement among the files of a run, and the training.

        Args:
            run: MLflow's.
            trial_id: of the judgement.
            names: what its trial is called now.
            scratch: a folder for the gallery, which is left out without one.

        Raises:
            UsageError: the files cannot be read.
        """
        judged = f"judgements/{trial_id}"
        with self._report_loss(run), tempfile.TemporaryDirectory() as own:
            folder = self._local(run, Path(own), "record", [HEAD, "curves.parquet"])
            training = read_run(folder / "record")
            if not isinstance(training, Training):
                raise ValueError(f"it is a {training.kind}")
            files = [HEAD, "per_image.parquet"]
            if scratch is not None:
                files.append("gallery")
            home = self._local(run, scratch / str(run.info.run_id) if scratch else Path(own), judged, files)
            gallery = home / judged / "gallery"
            judgement = with_names(read_judgement(home / judged), names)
            return join(training, judgement, gallery if scratch is not None and gallery.is_dir() else None)

    def claim(self, run: MlflowRun) -> Run:
        """The record of a run that is no training. Raises UsageError where it cannot be read."""
        with self._report_loss(run), tempfile.TemporaryDirectory() as own:
            return read_run(self._local(run, Path(own), "record", [HEAD]) / "record")

    def bring(self, run: MlflowRun, folder: RunDir) -> None:
        """Put the records of a run, weights and all, into its run directory. Raises UsageError where they cannot be read."""
        with self._report_loss(run), tempfile.TemporaryDirectory() as own:
            if (home := self.folder(run)) is None:
                for part in ("record", "judgements"):
                    with contextlib.suppress(Exception):  # a run may have no judgement
                        self._client.download_artifacts(run.info.run_id, part, own)
                home = Path(own)
            folder.adopt(home)

    def file(self, run: MlflowRun, name: str, scratch: Path) -> Path | None:
        """A file of a run's record, brought into `scratch` unless it lies on this machine; None where there is none of that name."""
        if (home := self.folder(run)) is not None:
            return path if (path := home / "record" / name).is_file() else None
        run_id = run.info.run_id
        if not any(file.path == f"record/{name}" for file in self._client.list_artifacts(run_id, "record")):
            return None
        return Path(self._client.download_artifacts(run_id, f"record/{name}", str(scratch)))

    def folder(self, run: MlflowRun) -> Path | None:
        """The artifacts of a run, where they lie on this machine: beside the database, else where MLflow says; None where elsewhere."""
        uri = run.info.artifact_uri
        beside = sqlite.artifacts_of(self._home, self._suite, run.info.run_id) if self._home else None
        return sqlite.folder_of(sqlite.home_of(uri, beside) if beside else uri)

    def take(self, run: MlflowRun, files: Path, name: str) -> None:
        """Put a folder of files among the artifacts of a run, under a name."""
        home = self.folder(run) if self._home else None
        if home is None:
            self._client.log_artifacts(run.info.run_id, str(files), name)
        else:
            shutil.copytree(files, home / name, dirs_exist_ok=True)

    def _local(self, run: MlflowRun, scratch: Path, part: str, files: list[str]) -> Path:
        """The folder in which `part` holds these files: on this machine already, or `scratch`, to which they are brought."""
        if (home := self.folder(run)) is not None:  # a download would ask the store thrice a record
            return home
        scratch.mkdir(exist_ok=True)
        known = {file.path for file in self._client.list_artifacts(run.info.run_id, part)}
        for file in files:
            if f"{part}/{file}" in known or file == HEAD:
                self._client.download_artifacts(run.info.run_id, f"{part}/{file}", str(scratch))
        return scratch

    @contextlib.contextmanager
    def _report_loss(self, run: MlflowRun) -> Iterator[None]:
        """Turn any failure in here into one line that says what to do."""
        try:
            yield
        except Exception as error:
            lost = f"the artifacts of run {run.info.run_id} ({run.data.tags.get('title', run.data.tags.get('claim'))}) cannot be read"
            raise UsageError(f"{lost}: {first_line(error)}; {self._remedy(run.data.tags)}") from error

    def _remedy(self, tags: Mapping[str, str]) -> str:
        """What to do about a run whose artifacts are lost."""
        folder = RunDirs(self._suite, self._out).of(tags["run_id"])
        with contextlib.suppress(UsageError):
            if folder.attempt() == tags.get("attempt") and folder.read():
                command = f"runner.py rebuild --out {shlex.quote(str(self._out))}"
                return f"its run directory is whole: `{command}` makes the database there anew from it"
        return "its run directory does not hold it either: run it again with --fresh"
