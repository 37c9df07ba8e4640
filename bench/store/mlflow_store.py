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
        self._open_runs: dict[str, str] = {}  # training -> its open run of MLflow
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
            run_id = self._open_run(run, self.queries.search_training(run.id))
            self._log(run_id, params=run.params)
        return self._open_runs[run.id]

    @report_silence
    def curves(self, run_id: str, points: Sequence[Point]) -> None:
        """Log the points that are not logged yet, against updates; images and seconds go along as curves of their own."""
        self._log(run_id, metrics=self._new_metrics(run_id, points))

    @report_silence
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
        """Close the run: parameters, curves, numbers, outcome, files. Returns its id, and whether it was open."""
        if (run_id := self._open_runs.get(run.id)) is None:
            runs = self.queries.search_training(run.id)
            for known in runs:
                if known.data.tags.get("attempt") == run.attempt and known.info.status != "RUNNING":
                    return str(known.info.run_id), False
            run_id = self._open_run(run, runs)
        self.files.take(run_id, folder.results, "record")
        points = self._new_metrics(run_id, list(run.curves.itertuples(index=False, name=None))) if isinstance(run, Training) else []
        numbers = self._metrics_of(run, {"summary": run.summary, "cost": run.costs})
        self._log(run_id, run.params, points + numbers, tags_of_run(run))
        self.client.set_terminated(run_id, "FAILED" if run.outcome == "failed" else "FINISHED")
        del self._open_runs[run.id]
        return run_id, True

    def _put_judgement(self, run_id: str, training: Training, judgement: Judgement, folder: RunDir) -> None:
        """Add a judgement to the run of its training: scores and costs as metrics, its files as artifacts, a tag that identifies it."""
        self.files.take(run_id, folder.judged(judgement.id), f"judgements/{judgement.id}")
        under = f"/{judgement.test}" if judgement.test else ""
        groups = {"final": judgement.final, "best": judgement.best, "summary": judgement.summary, "cost": judgement.costs}
        numbers = self._metrics_of(training, {f"{name}{under}": values for name, values in groups.items()})
        self._log(run_id, metrics=numbers, tags=judgement.tags)
        tags = judgement_tag(judgement.id, tags_of_judgement(training, judgement))
        self._log(run_id, tags={**tags, "label": judgement.label, "workload": judgement.workload})

    def _metrics_of(self, run: Run, groups: Mapping[str, Mapping[str, float]]) -> list[Metric]:
        from mlflow.entities import Metric

        now, step = int(time.time() * 1000), int(run.summary.get("steps", 0))
        return [Metric(_key(f"{group}/{k}"), v, now, step) for group, values in groups.items() for k, v in values.items()]

    @report_silence
    @override
    def rename(self, trial_id: str, about: Mapping[str, str]) -> None:
        run, _ = self.queries.judgements()[trial_id]
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
        """The record of one trial that is on record."""
        run, _ = self.queries.judgements()[trial_id]
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
        if (run := self.queries.closed_runs().get(run_id)) is None:
            return False
        self.files.bring(run, folder)
        return True

    def older(self) -> int:
        """How many results of an earlier version are here, which are not read."""
        return sum("trial_id" in run.data.tags for run in self.queries.search_closed())

    def _open_run(self, run: Run, runs: Sequence[MlflowRun]) -> str:
        """The run that is open among those of the training, or a new one."""
        for known in runs:
            if known.info.status == "RUNNING":
                run_id = str(known.info.run_id)
                self._logged[run_id] = max((m.step for m in self.client.get_metric_history(run_id, "images")), default=-1)
                break
        else:
            self._last = max(int(time.time() * 1000), self._last + 1)
            run_id = str(self.client.create_run(self.queries.experiment, self._last, tags_at_start(run), name_of(run)).info.run_id)
        self._open_runs[run.id] = run_id
        return run_id

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


def _key(text: str) -> str:
    """MLflow allows letters, digits and `_-. /:` in the name of a metric or tag."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in text)
