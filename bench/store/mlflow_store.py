"""MLflow, the store of record: one run a training with its judgements, grouped by suite. Tables and pages are rebuilt from it alone."""

from __future__ import annotations

import functools
import json
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
from bench.store.record import TrialRecord
from bench.store.records import Records, name_of, tags_at_start, tags_of_judgement, tags_of_run
from bench.store.run_dir import RunDir
from bench.store.stored import ClaimCheck, Judgement, Point, Run, Training
from bench.text import encodable, first_line

_JUDGED = "judgement."  # the tags of judgements begin with it
_METRICS, _OTHERS = 800, 100  # metrics, parameters and tags in one call: MLflow allows 1000 in all, and 100 of the others

_P = ParamSpec("_P")
_T = TypeVar("_T")


class StoreUnavailable(UsageError):
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
            raise StoreUnavailable(f"the tracking store does not answer: {first_line(error)}") from error

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
            StoreUnavailable: a server that does not answer.
            UsageError: the store cannot be opened; the message says which and why.
        """
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds; MLflow's own two minutes are training time that is lost
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # the ledger asks again; MLflow would begin a run twice
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._open_runs: dict[str, str] = {}  # training -> its open run of MLflow
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

            for name in (
                "mlflow",
                "alembic",
            ):  # they announce every migration of a new database, and print at length what they raise anyway
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
                raise StoreUnavailable(f"{reason}; check --tracking-uri") from error
            if "database is locked" in reason:
                raise StoreUnavailable(reason) from error
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
    def begin(self, run: Run) -> str:
        """Open the run of a training that is under way, or take up the one that an interrupted attempt began. Returns MLflow's id of it."""
        if run.id not in self._open_runs:
            run_id = self._open(run, self._of(run.id))
            self._log(run_id, params=run.params)
        return self._open_runs[run.id]

    @_answered
    def curves(self, run_id: str, points: Sequence[Point]) -> None:
        """Log the points that are not logged yet, against updates; images and seconds go along as curves of their own."""
        self._log(run_id, metrics=self._new(run_id, points))

    @_answered
    def put(self, folder: RunDir) -> bool:
        """Take in the records of a run directory: the run's own, and each judgement that is not here yet.

        Returns:
            Whether there was any; not where these attempts are on record already.
        """
        run = folder.read()
        run_id, added = self._put_run(run, folder)
        known = judgements_of(self.client.get_run(run_id))
        for trial_id, attempt in folder.attempts().items():
            if trial_id != run.id and known.get(trial_id, {}).get("judged") != attempt and isinstance(run, Training):
                self._put_judgement(run_id, run, folder.read_judgement(trial_id), folder)
                added = True
        return added

    def _put_run(self, run: Run, folder: RunDir) -> tuple[str, bool]:
        """Close the run: parameters, curves, numbers, its outcome as tags, its files as artifacts. Returns its id, and whether it was open."""
        if (run_id := self._open_runs.get(run.id)) is None:
            runs = self._of(run.id)
            for known in runs:
                if known.data.tags.get("attempt") == run.attempt and known.info.status != "RUNNING":
                    return str(known.info.run_id), False
            run_id = self._open(run, runs)
        self.files.take(run_id, folder.results, "record")
        points = self._new(run_id, list(run.curves.itertuples(index=False, name=None))) if isinstance(run, Training) else []
        numbers = self._numbers(run, {"summary": run.summary, "cost": run.costs})
        self._log(run_id, run.params, points + numbers, tags_of_run(run))
        self.client.set_terminated(run_id, "FAILED" if run.outcome == "failed" else "FINISHED")
        del self._open_runs[run.id]
        return run_id, True

    def _put_judgement(self, run_id: str, training: Training, judgement: Judgement, folder: RunDir) -> None:
        """Add a judgement to the run of its training: scores and costs as metrics, its files as artifacts, a tag that says whole what it is."""
        self.files.take(run_id, folder.judged(judgement.id), f"judgements/{judgement.id}")
        under = f"/{judgement.test}" if judgement.test else ""
        groups = {"final": judgement.final, "best": judgement.best, "summary": judgement.summary, "cost": judgement.costs}
        numbers = self._numbers(training, {f"{name}{under}": values for name, values in groups.items()})
        self._log(run_id, metrics=numbers, tags=judgement.tags)
        tags = tags_of_judgement(training, judgement)
        self._log(run_id, tags={f"{_JUDGED}{judgement.id}": json.dumps(tags), "label": judgement.label, "workload": judgement.workload})

    def _numbers(self, run: Run, groups: Mapping[str, Mapping[str, float]]) -> list[Any]:
        from mlflow.entities import Metric

        now, step = int(time.time() * 1000), int(run.summary.get("steps", 0))
        return [Metric(_key(f"{group}/{k}"), v, now, step) for group, values in groups.items() for k, v in values.items()]

    @_answered
    def rename(self, trial_id: str, about: Mapping[str, str]) -> None:  # noqa: D102
        run = self._judging(trial_id)
        tags = judgements_of(run)[trial_id]
        if any(tags.get(k, "") != v for k, v in about.items()):
            self._log(run.info.run_id, tags={f"{_JUDGED}{trial_id}": json.dumps(tags | dict(about)), "label": about["label"]})

    @_answered
    def runs(self) -> dict[str, dict[str, str]]:  # noqa: D102
        return {run_id: run.data.tags for run_id, run in self._closed().items()}

    @_answered
    def trials(self) -> dict[str, dict[str, str]]:  # noqa: D102
        found = {trial_id: tags for trial_id, (_, tags) in self._judged().items()}
        return dict(sorted(found.items(), key=lambda item: (float(item[1]["ended"]), item[0])))

    @_answered
    def attempts(self) -> set[str]:
        """Every attempt that is closed here."""
        closed = self._search("attributes.status != 'RUNNING'")
        return {run.data.tags.get("attempt", "") for run in closed} | {
            tags["judged"] for run in closed for tags in judgements_of(run).values()
        }

    @_answered
    def newest(self, trial_id: str) -> TrialRecord:
        """The record of one trial that is on record."""
        run = self._judging(trial_id)
        return self.files.trial(run, trial_id, judgements_of(run)[trial_id])

    @_answered
    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:  # noqa: D102
        judged = self._judged()
        return [self.files.trial(judged[i][0], i, judged[i][1], scratch) for i in trial_ids if i in judged]

    @_answered
    def claims(self, run_ids: Iterable[str]) -> list[ClaimCheck]:
        """The records of these runs, which are checks of claims."""
        runs = self._closed()
        return [self.files.claim(runs[i]) for i in run_ids if i in runs]

    @_answered
    def bring(self, run_id: str, folder: RunDir) -> bool:
        """Put the records of a closed run into its run directory; whether there is one."""
        if (run := self._closed().get(run_id)) is None:
            return False
        self.files.bring(run, folder)
        return True

    def older(self) -> int:
        """How many results of an earlier version are here, which are not read."""
        return sum("trial_id" in run.data.tags for run in self._search("attributes.status != 'RUNNING'"))

    def _known(self) -> str:
        """The id of the experiment; empty where there is none yet. Raises UsageError where it was deleted."""
        if not self._experiment and (known := self.client.get_experiment_by_name(self._name)):
            if known.lifecycle_stage == "deleted":
                mend = f"`mlflow experiments restore -x {known.experiment_id}` brings it back"
                raise UsageError(f"the experiment {self._name} of {self.uri} was deleted: {mend}")
            self._experiment = str(known.experiment_id)
        return self._experiment

    def _of(self, run_id: str) -> list[Any]:
        return self._search(f"tags.run_id = '{run_id}'")

    def _open(self, run: Run, runs: Sequence[Any]) -> str:
        """The run that is open among those of the training, or a new one."""
        for known in runs:
            if known.info.status == "RUNNING":
                run_id = str(known.info.run_id)
                self._logged[run_id] = max((m.step for m in self.client.get_metric_history(run_id, "images")), default=-1)
                break
        else:
            self._last = max(int(time.time() * 1000), self._last + 1)
            run_id = str(self.client.create_run(self.experiment, self._last, tags_at_start(run), name_of(run)).info.run_id)
        self._open_runs[run.id] = run_id
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

    def _closed(self) -> dict[str, Any]:
        """Run id -> the newest closed run of MLflow, oldest first."""
        runs: dict[str, Any] = {}
        for run in self._search("attributes.status != 'RUNNING'"):  # newest first
            if run.data.tags.keys() >= {"run_id", "kind", "outcome"}:  # others may log here too
                runs.setdefault(run.data.tags["run_id"], run)
        return dict(reversed(runs.items()))

    def _judged(self) -> dict[str, tuple[Any, dict[str, str]]]:
        """Trial id -> MLflow's run and the tags of the judgement, of those that judge the weights of the newest run of their training."""
        newest, found = dict[str, str](), dict[str, tuple[Any, dict[str, str]]]()
        for run in self._search("attributes.status != 'RUNNING'"):  # newest first
            weights = newest.setdefault(run.data.tags.get("run_id", ""), run.data.tags.get("weights", ""))
            for trial_id, tags in judgements_of(run).items():
                if tags["judged_weights"] == weights:
                    found.setdefault(trial_id, (run, {**run.data.tags, **tags}))
        return found

    def _judging(self, trial_id: str) -> Any:
        return self._judged()[trial_id][0]

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


def judgements_of(run: Any) -> dict[str, dict[str, str]]:
    """Trial id -> tags of the judgements of a run of MLflow."""
    return {name.removeprefix(_JUDGED): json.loads(text) for name, text in run.data.tags.items() if name.startswith(_JUDGED)}


def _key(text: str) -> str:
    """MLflow allows letters, digits and `_-. /:` in the name of a metric or tag."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in text)
