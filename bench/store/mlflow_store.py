"""MLflow, the store of record: one run a trial, grouped by suite. Tables and pages are rebuilt from it alone."""

from __future__ import annotations

import functools
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bench.errors import UsageError
from bench.store import sqlite
from bench.store.artifacts import Artifacts
from bench.store.record import Point, TrialRecord
from bench.store.records import Records, tags_at_end, tags_at_start
from bench.text import encodable, first_line

_METRICS, _OTHERS = 800, 100  # metrics, parameters and tags in one call: MLflow allows 1000 in all, and 100 of the others

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Away(UsageError):
    """The store does not answer. What it should have taken is not lost: see `bench.store.ledger`."""


def store_uri(out: Path, uri: str | None) -> str:
    """Where the store is: as given (a database file by its path, too), else MLFLOW_TRACKING_URI, else the database in the output folder.

    Raises:
        UsageError: the name of the folder cannot stand in a URL.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return sqlite.url_of(out.resolve() / "mlflow.db")
    file = Path(given).expanduser()
    return sqlite.url_of(file) if "://" not in given and file.is_file() else given


def _answered(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """A call of the store whose failures are the store's, not ours."""

    @functools.wraps(call)
    def ask(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return call(*args, **kwargs)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise Away(f"the tracking store does not answer: {first_line(error)}") from error

    return ask


class Store(Records):
    """The runs of one suite. Opening it creates the database, the first run the experiment."""

    def __init__(self, suite: str, out: Path, uri: str | None = None) -> None:
        """Connect.

        Args:
            suite: the suite's name; the experiment is `ganbench/<suite>`.
            out: the output folder; the default store is `out/mlflow.db`. The artifacts of a database in a file lie beside it, `artifacts/SUITE`.
            uri: another tracking server or database (default: MLFLOW_TRACKING_URI, else the local one).

        Raises:
            Away: a server that does not answer.
            UsageError: the store cannot be opened; the message says which and why.
        """
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds; MLflow's own two minutes are training time that is lost
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # the ledger asks again; MLflow would begin a run twice
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._runs: dict[str, str] = {}  # trial -> its open run
        self._logged: dict[str, int] = {}  # run -> last step whose curves are in the store
        self.uri = store_uri(out, uri)
        file = sqlite.file_of(self.uri)
        home = file.resolve().parent if file else None  # the folder of a database in a file: artifacts lie there too
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the output folder {out}: {error.strerror}; give another --out") from error
        try:
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):  # they announce every migration of a new database, and print at length what they raise anyway
                logging.getLogger(name).setLevel(logging.CRITICAL)
            self._name, self._experiment = f"ganbench/{suite}", ""
            local = home or (None if "://" in self.uri else out.resolve())
            self._artifacts = sqlite.artifacts_of(local, suite).as_uri() if local else None
            with sqlite.opening(self.uri):
                self.client = MlflowClient(tracking_uri=self.uri)
                self.files = Artifacts(self.client, suite, out, home)
                newest = self.client.search_runs([known], max_results=1) if (known := self._known()) else []
            self._last = max((run.info.start_time for run in newest), default=0)  # a clock may be set back: the newest run must start last
        except UsageError:
            raise
        except Exception as error:
            reason = f"cannot open the tracking store {self.uri}: {first_line(error)}"
            if self.uri.startswith("http"):
                raise Away(f"{reason}; check --tracking-uri") from error
            if "database is locked" in reason:
                raise Away(reason) from error
            mend = "; if it is damaged, `runner.py rebuild` makes it anew from the run directories" if self.uri.startswith("sqlite") else ""
            raise UsageError(f"{reason}; check --tracking-uri, or leave it out for a local one{mend}") from error

    @_answered
    def itself(self) -> Store:
        """The store, where it answers."""
        self.client.search_experiments(max_results=1)
        return self

    @property
    def experiment(self) -> str:
        """The id of the experiment, which is made where there is none."""
        from mlflow.exceptions import MlflowException

        if not (known := self._known()):
            try:
                return str(self.client.create_experiment(self._name, artifact_location=self._artifacts))
            except MlflowException:
                if not (known := self._known()):  # else another runner was quicker
                    raise
        return known

    @_answered
    def begin(self, record: TrialRecord) -> str:
        """Open the run of a trial that is under way, or take up the one that an interrupted attempt began. Returns the run id."""
        if record.trial_id not in self._runs:
            run_id = self._open(record, self._of(record.trial_id))
            self._log(run_id, params=record.params)
        return self._runs[record.trial_id]

    @_answered
    def curves(self, run_id: str, points: Sequence[Point]) -> None:
        """Log the points that are not logged yet, against updates; images and seconds go along as curves of their own."""
        self._log(run_id, metrics=self._new(run_id, points))

    @_answered
    def put(self, record: TrialRecord, folder: Path) -> bool:
        """Close the run of a trial: parameters, curves, scores and costs, its outcome as tags, the files of `folder` as artifacts.

        Returns:
            Whether it did; not where this attempt of the trial is closed already.
        """
        from mlflow.entities import Metric

        if (run_id := self._runs.get(record.trial_id)) is None:
            runs = self._of(record.trial_id)
            if any(run.data.tags.get("attempt") == record.attempt and run.info.status != "RUNNING" for run in runs):
                return False
            run_id = self._open(record, runs)
        self.files.take(run_id, folder)
        groups = {"final": record.final, "best": record.best, "summary": record.summary, "cost": record.costs}
        now, step = int(time.time() * 1000), int(record.summary.get("steps", 0))
        scores = [Metric(_key(f"{group}/{k}"), v, now, step) for group, values in groups.items() for k, v in values.items()]
        points = self._new(run_id, list(record.curves.itertuples(index=False, name=None)))
        self._log(run_id, record.params, points + scores, tags_at_end(record))
        self.client.set_terminated(run_id, "FAILED" if record.outcome == "failed" else "FINISHED")
        del self._runs[record.trial_id]
        return True

    @_answered
    def note(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change what a suite says of a trial on record: its name and its place. What came of it stays."""
        from mlflow.entities import RunTag

        run = self._newest(trial_id)
        self.client.log_batch(run.info.run_id, tags=[RunTag(k, v) for k, v in about.items() if run.data.tags.get(k, "") != v])

    @_answered
    def done(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags of every closed run, oldest first."""
        return {trial_id: run.data.tags for trial_id, run in self._closed().items()}

    @_answered
    def attempts(self) -> set[str]:
        """Every attempt that is closed here."""
        return {run.data.tags.get("attempt", "") for run in self._search("attributes.status != 'RUNNING'")}

    @_answered
    def newest(self, trial_id: str) -> TrialRecord:
        """The record of one trial that is on record, found without a look at the others."""
        return self.record(self._newest(trial_id))

    @_answered
    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        """The records of these trials, in their order; those without a closed run are left out. A `scratch` folder brings the galleries along."""
        runs = self._closed()
        return [self.record(runs[i], scratch) for i in trial_ids if i in runs]

    def _known(self) -> str:
        """The id of the experiment; empty where there is none yet. Raises UsageError where it was deleted."""
        if not self._experiment and (known := self.client.get_experiment_by_name(self._name)):
            if known.lifecycle_stage == "deleted":
                mend = f"`mlflow experiments restore -x {known.experiment_id}` brings it back"
                raise UsageError(f"the experiment {self._name} of {self.uri} was deleted: {mend}")
            self._experiment = str(known.experiment_id)
        return self._experiment

    def _of(self, trial_id: str) -> list[Any]:
        return self._search(f"tags.trial_id = '{trial_id}'")

    def _open(self, record: TrialRecord, runs: Sequence[Any]) -> str:
        """The run that is open among those of the trial, or a new one."""
        for run in runs:
            if run.info.status == "RUNNING":
                run_id = str(run.info.run_id)
                self._logged[run_id] = max((m.step for m in self.client.get_metric_history(run_id, "images")), default=-1)
                break
        else:
            self._last = max(int(time.time() * 1000), self._last + 1)
            name = f"{record.title} seed {record.seed}"
            run_id = str(self.client.create_run(self.experiment, self._last, tags_at_start(record), name).info.run_id)
        self._runs[record.trial_id] = run_id
        return run_id

    def _new(self, run_id: str, points: Sequence[Point]) -> list[Any]:
        """The points that are not logged yet, as MLflow's metrics."""
        from mlflow.entities import Metric

        last, now = self._logged.get(run_id, -1), int(time.time() * 1000)
        new = [p for p in points if p[1] > last]
        clock = {step: (images, seconds) for _, step, images, seconds, _ in new}
        self._logged[run_id] = max(clock, default=last)
        rows = [Metric(_key(key), value, now, step) for key, step, _, _, value in new]
        return rows + [Metric(key, value, now, step) for step, pair in clock.items() for key, value in zip(("images", "seconds"), pair)]

    def _log(self, run_id: str, params: Mapping[str, str] = {}, metrics: Sequence[Any] = (), tags: Mapping[str, str] = {}) -> None:
        """All in one call, or in as few as MLflow's limits allow."""
        from mlflow.entities import Param, RunTag

        settings = [Param(key, encodable(value)[:6000]) for key, value in params.items()]
        marks = [RunTag(_key(k), encodable(v)[:5000]) for k, v in tags.items()]
        for i in range(max(math.ceil(len(metrics) / _METRICS), math.ceil(len(settings) / _OTHERS), math.ceil(len(marks) / _OTHERS))):
            some, few = slice(i * _METRICS, (i + 1) * _METRICS), slice(i * _OTHERS, (i + 1) * _OTHERS)
            self.client.log_batch(run_id, metrics[some], settings[few], marks[few])

    def _newest(self, trial_id: str) -> Any:
        return self._search(f"tags.trial_id = '{trial_id}' and attributes.status != 'RUNNING'")[0]

    def _closed(self) -> dict[str, Any]:
        runs: dict[str, Any] = {}
        for run in self._search("attributes.status != 'RUNNING'"):  # newest first
            if run.data.tags.keys() >= {"trial_id", "outcome"}:  # others may log here too
                runs.setdefault(run.data.tags["trial_id"], run)
        return dict(reversed(runs.items()))

    def record(self, run: Any, scratch: Path | None = None) -> TrialRecord:
        """What one closed run of MLflow holds. Raises UsageError where its files cannot be read."""
        return self.files.record(run, scratch)

    def _search(self, query: str) -> list[Any]:
        found: list[Any] = []
        token: str | None = None
        if not (known := self._known()):
            return []
        while True:
            page = self.client.search_runs([known], query, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def _key(text: str) -> str:
    """MLflow allows letters, digits and `_-. /:` in the name of a metric or tag."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in text)
