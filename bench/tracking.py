"""MLflow, the store of record: one run a trial, grouped by suite. Tables and pages are rebuilt from it alone."""

from __future__ import annotations

import functools
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from bench import identity
from bench.errors import UsageError
from bench.record import TrialRecord
from bench.suite import Trial
from bench.training import Point

_BATCH = 1000  # metrics in one call: MLflow's own limit
_FRAMES = ("per_image", "curves")  # kept as parquet beside record.json


class Store:
    """The runs of one suite. Opening it creates the database and the experiment, so do that before any worker starts."""

    def __init__(self, suite: str, out: Path, uri: str | None = None) -> None:
        """Connect.

        Args:
            suite: the suite's name; the experiment is `ganbench/<suite>`.
            out: the output folder; the default store is `out/mlflow.db`, its artifacts lie beside it.
            uri: another tracking server or database (default: MLFLOW_TRACKING_URI, else the local one).

        Raises:
            UsageError: the store cannot be reached or opened; the message says which and why.
        """
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self._logged: dict[str, int] = {}  # run -> last step whose curves are in the store
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out.resolve() / 'mlflow.db'}"
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the output folder {out}: {error.strerror}; give another --out") from error
        try:
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):  # they announce every migration of a new database
                logging.getLogger(name).setLevel(logging.ERROR)
            self.client = MlflowClient(tracking_uri=self.uri)
            experiment = self.client.get_experiment_by_name(f"ganbench/{suite}")
            local = None if "://" in self.uri and not self.uri.startswith("sqlite") else (out.resolve() / "artifacts" / suite).as_uri()
            self.experiment: str = (
                experiment.experiment_id if experiment else self.client.create_experiment(f"ganbench/{suite}", artifact_location=local)
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(f"cannot open the tracking store {self.uri}: {reason}; check --tracking-uri, or leave it out for a local one") from error

    def begin(self, record: TrialRecord, name: str) -> str:
        """Start the run of a trial, or take up the one that an interrupted attempt began. Returns the run id."""
        from mlflow.entities import Param

        for run in self._search(f"tags.trial_id = '{record.trial_id}' and attributes.status = 'RUNNING'"):
            run_id = str(run.info.run_id)
            self._logged[run_id] = max((m.step for m in self.client.get_metric_history(run_id, "images")), default=-1)
            return run_id
        run_id = str(self.client.create_run(self.experiment, run_name=name, tags=_tags(record)).info.run_id)
        entries = [Param(key, str(value)[:6000]) for key, value in record.params.items()]
        for i in range(0, len(entries), 100):
            self.client.log_batch(run_id, params=entries[i : i + 100])
        return run_id

    def curves(self, run_id: str, points: Sequence[Point]) -> None:
        """Log the points that are not logged yet, against updates; images and seconds go along as curves of their own. One call a thousand points."""
        from mlflow.entities import Metric

        last, now = self._logged.get(run_id, -1), int(time.time() * 1000)
        new = [p for p in points if p[1] > last]
        clock = {step: (images, seconds) for _, step, images, seconds, _ in new}
        rows = [Metric(_key(key), value, now, step) for key, step, _, _, value in new]
        rows += [Metric(key, value, now, step) for step, pair in clock.items() for key, value in zip(("images", "seconds"), pair)]
        for i in range(0, len(rows), _BATCH):
            self.client.log_batch(run_id, metrics=rows[i : i + _BATCH])
        self._logged[run_id] = max(clock, default=last)

    def finish(self, run_id: str, record: TrialRecord, folder: Path) -> None:
        """Close a run: its scores and costs as metrics, its outcome as tags, the files of `folder` as artifacts."""
        from mlflow.entities import Metric, RunTag

        now, step = int(time.time() * 1000), int(record.summary.get("steps", 0))
        values = {f"final/{k}": v for k, v in record.final.items()} | {f"best/{k}": v for k, v in record.best.items()}
        values |= {f"summary/{k}": v for k, v in record.summary.items()} | {f"cost/{k}": v for k, v in record.costs.items()}
        self.client.log_artifacts(run_id, str(folder), "trial")
        tags = {"outcome": record.outcome, "reason": record.reason, **notes(record), **record.tags}
        self.client.log_batch(
            run_id,
            metrics=[Metric(_key(k), v, now, step) for k, v in values.items()],
            tags=[RunTag(_key(k), v[:5000]) for k, v in tags.items()],
        )
        self.client.set_terminated(run_id, "FAILED" if record.outcome == "failed" else "FINISHED")

    def note(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change what a suite says of a trial on record: its name and its place. What came of it stays."""
        from mlflow.entities import RunTag

        run = self._newest(trial_id)
        self.client.log_batch(run.info.run_id, tags=[RunTag(k, v) for k, v in about.items() if run.data.tags.get(k, "") != v])

    def done(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags of every closed run, oldest first."""
        return {trial_id: run.data.tags for trial_id, run in self._closed().items()}

    def newest(self, trial_id: str) -> TrialRecord:
        """The record of one trial that is on record, found without a look at the others."""
        return self.record(self._newest(trial_id))

    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        """The records of these trials, in their order; those without a closed run are left out. A `scratch` folder brings the galleries along."""
        runs = self._closed()
        return [self.record(runs[i], scratch) for i in trial_ids if i in runs]

    def board(self, tier: str | None, scratch: Path, asked: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
        """What belongs into the tables: each of one protocol (task, data, cards, tier), for every label the trials that differ in the seed alone.

        Args:
            tier: only of this tier.
            scratch: a folder for artifacts of a remote server, to be kept while the records' galleries are in use.
            asked: the trials whose protocol and rows are wanted; those newest on record where there are none.

        Raises:
            UsageError: nothing is on record.
        """
        tags = [t for t in self.done().values() if tier in (None, t["tier"]) and t.get("role", "row") == "row"]
        if not tags:
            raise UsageError(f"nothing on record in {self.uri}{f' at tier {tier}' if tier else ''}: run the suite first")
        newest = {t.get("workload", ""): t["protocol"] for t in tags if t["tier"] == tags[-1]["tier"]}
        protocols = {r.workload: identity.protocol_of(r.parts) for r in asked} or (newest if tags[-1].get("workload") else {"": tags[-1]["protocol"]})
        same = [t for t in tags if protocols.get(t.get("workload", "")) == t["protocol"]]
        rows = {_place(t): t["row"] for t in same} | {(r.workload, r.label): identity.row_of(r.parts) for r in asked}
        return self.read((t["trial_id"] for t in same if t["row"] == rows[_place(t)]), scratch)

    def beside(self, rows: Iterable[TrialRecord]) -> list[TrialRecord]:
        """The trials that tuned and varied these rows, run with the same code, data and means as they; of each the newest."""
        alike = {(r.plan, _means(r)) for r in rows if r.plan}
        plans = {plan for plan, _ in alike}
        ids = [i for i, t in self.done().items() if t.get("role", "row") != "row" and t.get("plan") in plans]
        serving = [r for r in self.read(ids) if (r.plan, _means(r)) in alike]
        return list({(r.workload, r.label, r.role, r.seed, json.dumps(r.tried)): r for r in serving}.values())

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
        run_id, tags = run.info.run_id, run.data.tags
        try:
            if (home := urlparse(run.info.artifact_uri)).scheme == "file":  # here already: a download would ask the store thrice a record
                record = _noted(read_record(Path(url2pathname(home.path)) / "trial"), tags)
                record.gallery = record.gallery if scratch is not None else None
                return record
            if scratch is not None:
                (scratch / run_id).mkdir()
                return _noted(read_record(Path(self.client.download_artifacts(run_id, "trial", str(scratch / run_id)))), tags)
            with tempfile.TemporaryDirectory() as folder:
                for name in ("record.json", *(f"{frame}.parquet" for frame in _FRAMES)):
                    path = self.client.download_artifacts(run_id, f"trial/{name}", folder)
                return _noted(read_record(Path(path).parent), tags)
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(
                f"the artifacts of run {run_id} ({run.data.tags.get('label')}) cannot be read: {reason}; run it again with --fresh"
            ) from error

    def _search(self, query: str) -> list[Any]:
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment], query, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def notes(trial: Trial | TrialRecord) -> dict[str, str]:
    """What a suite says of a trial that does not decide its result: the tags that a later run of the suite may change."""
    tuning = {k: v for k, v in trial.costs.items() if k.startswith("tuning_")}
    return {"label": trial.label, "workload": trial.workload, "plan": trial.plan, "tuning": json.dumps(tuning) if tuning else ""}


def tags_of(trial: Trial | TrialRecord) -> dict[str, str]:
    """Which trial it is and what it is for."""
    names = ("suite", "task", "spec", "seed", "tier", "role")
    return {name: str(getattr(trial, name)) for name in names} | notes(trial) | {"tried": json.dumps(dict(trial.tried))}


def _noted(record: TrialRecord, tags: Mapping[str, str]) -> TrialRecord:
    """The record as it is called now."""
    record.label, record.workload, record.plan = tags["label"], tags.get("workload", ""), tags.get("plan", "")
    record.costs = {k: v for k, v in record.costs.items() if not k.startswith("tuning_")} | json.loads(tags.get("tuning") or "{}")
    return record


def _means(record: TrialRecord) -> str:
    """What a row has in common with the trials that serve it: all but hyper-parameters, seed and role."""
    return identity.id_of({k: v for k, v in record.parts.items() if not k.startswith("hp.") and k not in ("seed", "role")})


def _place(tags: Mapping[str, str]) -> tuple[str, str]:
    return tags.get("workload", ""), tags["label"]


def _tags(record: TrialRecord) -> dict[str, str]:
    about = tags_of(record) | {"trial_id": record.trial_id} | {name: record.environment[name] for name in ("device", "git")}
    return about | {"row": identity.row_of(record.parts), "protocol": identity.protocol_of(record.parts)}


def environment(device: str) -> dict[str, str]:
    """What the record says about where a trial ran."""
    return dict(_environment(device))


@functools.cache
def _environment(device: str) -> Mapping[str, str]:
    import platform
    import subprocess
    from importlib.metadata import version

    import torch

    from bench.registry import ROOT

    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "scikit-learn", "mlflow", "ultralytics", "pycocotools")
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or platform.machine()
    about = {"python": platform.python_version(), "platform": platform.platform(), "device": device, "device_name": name}
    return about | {"threads": str(torch.get_num_threads()), "git": git.stdout.strip() or "unknown"} | {p: version(p) for p in packages}


def _key(text: str) -> str:
    """MLflow allows letters, digits and `_-. /:` in the name of a metric or tag."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in text)


def write_record(record: TrialRecord, folder: Path) -> None:
    """A record as files: record.json, per_image.parquet, curves.parquet.

    Raises:
        UsageError: the disk is full or the folder cannot be written.
    """
    data = record.to_json() | {"gallery": None}
    part = folder / "record.json.part"
    try:
        for name in _FRAMES:
            del data[name]
            getattr(record, name).to_parquet(folder / f"{name}.parquet")
        part.write_text(json.dumps(data, indent=1, allow_nan=False))
        os.replace(part, folder / "record.json")
    except OSError as error:
        raise UsageError(
            f"cannot write the record {folder}: {error}; free some space or give another --out, then run the same command again"
        ) from error


def read_record(folder: Path) -> TrialRecord:
    """The record that `write_record` wrote, its gallery included."""
    import pandas as pd

    data = json.loads((folder / "record.json").read_text())
    record = TrialRecord.from_json(data | {name: pd.read_parquet(folder / f"{name}.parquet") for name in _FRAMES})
    record.gallery = folder / "gallery" if (folder / "gallery").is_dir() else None
    return record
