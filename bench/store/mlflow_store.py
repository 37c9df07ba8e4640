"""MLflow, the store of record: one run a training with its judgements, grouped by suite. Tables and pages are rebuilt from it alone."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from bench.errors import UsageError
from bench.store import sqlite
from bench.store.artifacts import Artifacts
from bench.store.mlflow_connection import connect, report_silence, store_uri
from bench.store.mlflow_runs import MlflowRuns, judgement_tag, judgements_of
from bench.store.record import TrialRecord
from bench.store.records import Records, name_of, tags_at_start, tags_of_judgement, tags_of_run
from bench.store.run_dir import RunDir
from bench.store.stored import ClaimCheck, Judgement, Point, Run, Training
from bench.text import encodable

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.entities import Run as MlflowRun

_METRICS, _OTHERS = 800, 100  # metrics, parameters and tags in one call: MLflow allows 1000 in all, and 100 of the others


class Store(Records):
    """The runs of one suite. Opening it creates the database, the first run the experiment."""

    def __init__(self, suite: str, out: Path, uri: str | None = None) -> None:
        """Connect.

        Args:
            suite: the suite's name; the experiment is `ganbench/<suite>`.
            out: the output folder; the default store is `out/mlflow.db`, with the artifacts beside it.
            uri: another tracking server or database (default: MLFLOW_TRACKING_URI, else the local one).

        Raises:
            StoreUnavailable: a server that does not answer.
            UsageError: the store cannot be opened; the message says which and why.
        """
        self._open_runs: dict[str, MlflowRun] = {}  # training -> its open run of MLflow
        self._logged: dict[str, int] = {}  # run -> last step whose curves are in the store
        self.uri = store_uri(out, uri)
        file = sqlite.file_of(self.uri)
        home = file.resolve().parent if file else None  # the folder of a database in a file: artifacts lie there too
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the output folder {out}: {error.strerror}; give another --out") from error
        local = home or (None if "://" in self.uri else out.resolve())
        artifacts = sqlite.artifacts_of(local, suite).as_uri() if local else None
        with connect(self.uri) as client:
            self.client = client
            self.files = Artifacts(client, suite, out, home)
            self.queries = MlflowRuns(client, suite, self.uri, artifacts)
            self._last = self.queries.last_start()  # a clock may be set back: the newest run must start last

    @report_silence
    def ping(self) -> Store:
        """Ask the store for a sign of life; returns it."""
        self.client.search_experiments(max_results=1)
        return self

    @report_silence
    def begin(self, run: Run) -> str:
        """Open the run of a training that is under way, or take up the one that an interrupted attempt began. Returns MLflow's id of it."""
        if run.id not in self._open_runs:
            opened = self._open_run(run, self.queries.search_training(run.id))
            self._log(str(opened.info.run_id), params=run.params)
        return str(self._open_runs[run.id].info.run_id)

    @report_silence
    def curves(self, run_id: str, points: Sequence[Point]) -> None:
        """Log the points that are not logged yet, against updates; images and seconds go along as curves of their own."""
        self._log(run_id, metrics=self._new_metrics(run_id, points))

    @report_silence
    def put(self, folder: RunDir, run: Run, judgements: Sequence[Judgement]) -> bool:
        """Take in the records of a run directory: the run's own, and each judgement that is not here yet.

        Args:
            folder: where their files lie.
            run: its record.
            judgements: its judgements.

        Returns:
            Whether there was any; not where these attempts are on record already.
        """
        target, is_open = self._find_or_open(run)
        known = {} if is_open else judgements_of(target)
        new = [judgement for judgement in judgements if known.get(judgement.id, {}).get("judged") != judgement.attempt]
        if not (is_open or new):
            return False
        run_id, metrics, tags = str(target.info.run_id), [], dict[str, str]()
        if is_open:
            self.files.take(target, folder.results, "record")
            metrics, tags = self._metrics_of_run(run_id, run), tags_of_run(run)
        for judgement in new:
            assert isinstance(run, Training)  # nothing else is judged
            self.files.take(target, folder.judged(judgement.id), f"judgements/{judgement.id}")
            metrics, tags = metrics + self._metrics_of_judgement(run, judgement), tags | _tags_of_judgement(run, judgement)
        self._log(run_id, run.params if is_open else {}, metrics, tags)
        if is_open:
            self.client.set_terminated(run_id, "FAILED" if run.outcome == "failed" else "FINISHED")
            del self._open_runs[run.id]
        return True

    def _find_or_open(self, run: Run) -> tuple[MlflowRun, bool]:
        """MLflow's run of this attempt where it is closed, else the one that is open, or a new one; and whether it is open."""
        if (known := self._open_runs.get(run.id)) is not None:
            return known, True
        runs = self.queries.search_training(run.id)
        closed = [r for r in runs if r.data.tags.get("attempt") == run.attempt and r.info.status != "RUNNING"]
        return (closed[0], False) if closed else (self._open_run(run, runs), True)

    def _metrics_of_run(self, run_id: str, run: Run) -> list[Metric]:
        points = self._new_metrics(run_id, list(run.curves.itertuples(index=False, name=None))) if isinstance(run, Training) else []
        return points + self._metrics_of(run, {"summary": run.summary, "cost": run.costs})

    def _metrics_of_judgement(self, training: Training, judgement: Judgement) -> list[Metric]:
        under = f"/{judgement.test}" if judgement.test else ""
        groups = {"final": judgement.final, "best": judgement.best, "summary": judgement.summary, "cost": judgement.costs}
        return self._metrics_of(training, {f"{name}{under}": values for name, values in groups.items()})

    def _metrics_of(self, run: Run, groups: Mapping[str, Mapping[str, float]]) -> list[Metric]:
        from mlflow.entities import Metric

        now, step = int(time.time() * 1000), int(run.summary.get("steps", 0))
        return [Metric(_key(f"{group}/{k}"), v, now, step) for group, values in groups.items() for k, v in values.items()]

    @report_silence
    @override
    def rename(self, trial_id: str, about: Mapping[str, str]) -> None:
        run = self.queries.find_judging(trial_id)
        tags = judgements_of(run)[trial_id]
        if any(tags.get(k, "") != v for k, v in about.items()):
            self._log(run.info.run_id, tags={**judgement_tag(trial_id, tags | dict(about)), "label": about["label"]})

    @report_silence
    @override
    def runs(self) -> dict[str, dict[str, str]]:
        return {run_id: run.data.tags for run_id, run in self.queries.closed_runs().items()}

    @report_silence
    @override
    def trials(self) -> dict[str, dict[str, str]]:
        found = {trial_id: tags for trial_id, (_, tags) in self.queries.judgements().items()}
        return dict(sorted(found.items(), key=lambda item: (float(item[1]["ended"]), item[0])))

    @report_silence
    def attempts(self) -> set[str]:
        """Every attempt that is closed here."""
        closed = self.queries.search_closed()
        return {run.data.tags.get("attempt", "") for run in closed} | {
            tags["judged"] for run in closed for tags in judgements_of(run).values()
        }

    @report_silence
    def newest(self, trial_id: str) -> TrialRecord:
        """The record of one trial that is on record, found without a look at the others."""
        run = self.queries.find_judging(trial_id)
        return self.files.trial(run, trial_id, judgements_of(run)[trial_id])

    @report_silence
    @override
    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        judged = self.queries.judgements()
        return [self.files.trial(judged[i][0], i, judged[i][1], scratch) for i in trial_ids if i in judged]

    @report_silence
    def claims(self, run_ids: Iterable[str]) -> list[ClaimCheck]:
        """The records of these runs, which are checks of claims."""
        runs = self.queries.closed_runs()
        found = [self.files.claim(runs[i]) for i in run_ids if i in runs]
        return [check for check in found if isinstance(check, ClaimCheck)]

    @report_silence
    def bring(self, run_id: str, folder: RunDir) -> bool:
        """Put the records of a closed run into its run directory; whether there is one."""
        closed = [run for run in self.queries.search_training(run_id) if run.info.status != "RUNNING"]
        if not closed:
            return False
        self.files.bring(closed[0], folder)
        return True

    @report_silence
    def older(self) -> int:
        """How many results of an earlier version are here, which are not read."""
        return sum("trial_id" in run.data.tags for run in self.queries.search_closed())

    def _open_run(self, run: Run, runs: Sequence[MlflowRun]) -> MlflowRun:
        """The run that is open among those of the training, or a new one."""
        opened = next((known for known in runs if known.info.status == "RUNNING"), None)
        if opened is not None:
            history = self.client.get_metric_history(str(opened.info.run_id), "images")
            self._logged[str(opened.info.run_id)] = max((m.step for m in history), default=-1)
        else:
            self._last = max(int(time.time() * 1000), self._last + 1)
            opened = self.client.create_run(self.queries.experiment, self._last, tags_at_start(run), name_of(run))
        self._open_runs[run.id] = opened
        return opened

    def _new_metrics(self, run_id: str, points: Sequence[Point]) -> list[Metric]:
        """The points that are not logged yet, as MLflow's metrics."""
        from mlflow.entities import Metric

        last, now = self._logged.get(run_id, -1), int(time.time() * 1000)
        new = [p for p in points if p[1] > last]
        clock = {step: (images, seconds) for _, step, images, seconds, _ in new}
        self._logged[run_id] = max(clock, default=last)
        rows = [Metric(_key(key), value, now, step) for key, step, _, _, value in new]
        return rows + [Metric(key, value, now, step) for step, pair in clock.items() for key, value in zip(("images", "seconds"), pair)]

    def _log(self, run_id: str, params: Mapping[str, str] = {}, metrics: Sequence[Metric] = (), tags: Mapping[str, str] = {}) -> None:
        """All in one call, or in as few as MLflow's limits allow."""
        from mlflow.entities import Param, RunTag

        settings = [Param(key, encodable(value)[:6000]) for key, value in params.items()]
        marks = [RunTag(_key(k), encodable(v)[:5000]) for k, v in tags.items()]
        for i in range(max(math.ceil(len(metrics) / _METRICS), math.ceil(len(settings) / _OTHERS), math.ceil(len(marks) / _OTHERS))):
            some, few = slice(i * _METRICS, (i + 1) * _METRICS), slice(i * _OTHERS, (i + 1) * _OTHERS)
            self.client.log_batch(run_id, metrics[some], settings[few], marks[few])


def _tags_of_judgement(training: Training, judgement: Judgement) -> dict[str, str]:
    """Its notes, one tag that says whole what it is, and what its trial is called."""
    tag = judgement_tag(judgement.id, tags_of_judgement(training, judgement))
    return {**judgement.tags, **tag, "label": judgement.label, "workload": judgement.workload}


def _key(text: str) -> str:
    """MLflow allows letters, digits and `_-. /:` in the name of a metric or tag."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in text)
