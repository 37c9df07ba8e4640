"""Finds a run on record by its trial's id or MLflow's, whatever its suite."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.store.mlflow_store import Store, store_uri
from bench.store.record import TrialRecord
from bench.text import first_line

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
    found = _runs(run, out, tracking_uri)
    if not found:
        raise UsageError(f"no finished run {run} on record: `mlflow ui` shows every run with its id, and its trial's as the tag `trial_id`")
    if len(found) > 1:
        raise UsageError(f"{run} begins the ids of {len(found)} trials, {' and '.join(list(found)[:2])} among them: give more of it")
    (named,) = found.values()
    return Store(named.data.tags["suite"], out, tracking_uri).record(named, scratch)


def weights(run: str, out: Path, tracking_uri: str | None, scratch: Path) -> Path | None:
    """The last weights of a run that `find` found, in a file, below `scratch` unless it lies on this machine; None where it left none."""
    (named,) = _runs(run, out, tracking_uri).values()
    return Store(named.data.tags["suite"], out, tracking_uri).files.file(named, "weights.safetensors", scratch)


def _runs(run: str, out: Path, tracking_uri: str | None) -> dict[str, Any]:
    """Trial id -> the newest closed run, of those that the id may mean."""
    require_store(out, tracking_uri)
    from mlflow import MlflowClient

    whose = f"attributes.run_id = '{run}'" if len(run) == 32 else f"tags.trial_id LIKE '{run}%'"
    uri = store_uri(out, tracking_uri)
    try:
        client = MlflowClient(uri)
        experiments = [e.experiment_id for e in client.search_experiments(filter_string="name LIKE 'ganbench/%'")]
        runs = client.search_runs(experiments, f"{whose} and attributes.status != 'RUNNING'") if experiments else []
    except Exception as error:
        raise UsageError(f"cannot read the tracking store: {first_line(error)}; check --tracking-uri and --out") from error
    return {r.data.tags["trial_id"]: r for r in reversed(runs) if {"trial_id", "suite"} <= r.data.tags.keys()}


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
