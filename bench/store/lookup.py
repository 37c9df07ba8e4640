"""Finds a run on record by its trial's id or MLflow's, whatever its suite."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store.mlflow_connection import store_uri
from bench.store.mlflow_runs import Judged, judgements_of
from bench.store.mlflow_store import Store
from bench.store.record import TrialRecord
from bench.text import first_line

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

_MOST = 50_000  # runs that are looked through
_SHORTEST = 4  # letters of an id that may stand for it


def find(run: str, out: Path, tracking_uri: str | None, scratch: Path) -> TrialRecord:
    """The record of a run, its files below `scratch` unless they lie on this machine.

    Args:
        run: a trial's id or its unambiguous beginning, or an MLflow run's id.
        out: output folder of the trial.
        tracking_uri: the store (default: MLFLOW_TRACKING_URI, else the one in `out`).
        scratch: an empty folder.

    Raises:
        UsageError: that is no id, no such run is on record, several are, or the store cannot be read.
    """
    if not is_id(run):
        raise UsageError(f"{run!r} is neither a trial's id (16 hex digits, or the first {_SHORTEST} or more) nor an MLflow run's (32)")
    named, tags = _find_judgement(run, out, tracking_uri)
    return Store(tags["suite"], out, tracking_uri).files.trial(named, tags["trial_id"], tags, scratch)


def weights(run: str, out: Path, tracking_uri: str | None, scratch: Path) -> Path | None:
    """The last weights of a run that `find` found, in a file, below `scratch` unless it lies on this machine; None where it left none."""
    named, tags = _find_judgement(run, out, tracking_uri)
    return Store(tags["suite"], out, tracking_uri).files.file(named, "last.safetensors", scratch)


def _find_judgement(run: str, out: Path, tracking_uri: str | None) -> Judged:
    """MLflow's run and the tags of the one judgement that an id means. Raises UsageError where it means none, or several."""
    found: dict[str, Judged] = {}
    for known in _closed_runs(run, out, tracking_uri):  # newest first
        whole = run in (known.info.run_id, known.data.tags.get("run_id")) or known.data.tags.get("run_id", "").startswith(run)
        for trial_id, tags in judgements_of(known).items():
            if whole or trial_id.startswith(run):
                found.setdefault(trial_id, (known, {**known.data.tags, **tags}))
    if not found:
        raise UsageError(
            f"no finished run {run} on record: `mlflow ui` shows every run with its id, and its trials' as tags `judgement.ID`"
        )
    if len({tags["run_id"] for _, tags in found.values()}) > 1:
        raise UsageError(f"{run} begins the ids of {len(found)} trials, {' and '.join(list(found)[:2])} among them: give more of it")
    if len(found) > 1:
        tests = ", ".join(f"{trial_id} ({tags['workload'] or tags['task']})" for trial_id, (_, tags) in found.items())
        raise UsageError(f"the training {run} was judged {len(found)} times: name one by its own id: {tests}")
    (pair,) = found.values()
    return pair


def _closed_runs(run: str, out: Path, tracking_uri: str | None) -> list[MlflowRun]:
    """The closed runs of MLflow among which an id is sought, newest first."""
    require_store(out, tracking_uri)
    from mlflow import MlflowClient

    whose = f"attributes.run_id = '{run}' and " if len(run) == 32 else ""
    uri = store_uri(out, tracking_uri)
    try:
        client = MlflowClient(uri)
        experiments = [e.experiment_id for e in client.search_experiments(filter_string="name LIKE 'ganbench/%'")]
        return client.search_runs(experiments, f"{whose}attributes.status != 'RUNNING'", max_results=_MOST) if experiments else []
    except Exception as error:
        raise UsageError(f"cannot read the tracking store: {first_line(error)}; check --tracking-uri and --out") from error


def is_id(text: str) -> bool:
    """Whether it reads as an id."""
    return bool(re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},16}}|[0-9a-f]{{32}}", text))


def require_store(out: Path, tracking_uri: str | None) -> None:
    """Refuse to look where nothing was ever recorded.

    Raises:
        UsageError: there is no store.
    """
    if tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or (out / "mlflow.db").is_file():
        return
    if any(out.glob("*/trials/*/record/record.json")):
        raise UsageError(f"{out} holds results, but no database: `runner.py rebuild --out {shlex.quote(str(out))}` makes it from them")
    raise UsageError(f"nothing on record below {out}: run a suite first, or give --out or --tracking-uri")
