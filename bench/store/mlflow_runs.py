"""The runs of one suite in MLflow: which are closed, and which of their judgements hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.errors import UsageError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

Judged = tuple["MlflowRun", dict[str, str]]
"""A run of MLflow and the tags of one judgement in it."""

_JUDGEMENT = "judgement."  # the tags of judgements begin with it


class MlflowRuns:
    """The queries over the runs of one suite."""

    def __init__(self, client: MlflowClient, suite: str, uri: str, artifacts: str | None) -> None:
        """Query a store.

        Args:
            client: MLflow's.
            suite: the suite's name; the experiment is `ganbench/<suite>`.
            uri: of the store, for messages.
            artifacts: the URI of the folder for artifacts of a new experiment; None: MLflow's own choice.
        """
        self._client, self._uri, self._artifacts = client, uri, artifacts
        self._name, self._experiment = f"ganbench/{suite}", ""

    @property
    def experiment(self) -> str:
        """The id of the experiment, which is made where there is none."""
        from mlflow.exceptions import MlflowException

        if not (known := self.find_experiment()):
            try:
                return str(self._client.create_experiment(self._name, artifact_location=self._artifacts))
            except MlflowException:
                if not (known := self.find_experiment()):  # else another runner was quicker
                    raise
        return known

    def find_experiment(self) -> str:
        """The id of the experiment; empty where there is none yet.

        Raises:
            UsageError: it was deleted.
        """
        if not self._experiment and (known := self._client.get_experiment_by_name(self._name)):
            if known.lifecycle_stage == "deleted":
                mend = f"`mlflow experiments restore -x {known.experiment_id}` brings it back"
                raise UsageError(f"the experiment {self._name} of {self._uri} was deleted: {mend}")
            self._experiment = str(known.experiment_id)
        return self._experiment

    def last_start(self) -> int:
        """When the newest run started, in Unix milliseconds; 0 where there is none."""
        newest = self._client.search_runs([known], max_results=1) if (known := self.find_experiment()) else []
        return max((run.info.start_time for run in newest), default=0)

    def search(self, query: str = "") -> list[MlflowRun]:
        """All runs that a query of MLflow finds, newest first."""
        found: list[MlflowRun] = []
        token: str | None = None
        if not (known := self.find_experiment()):
            return []
        while True:
            page = self._client.search_runs([known], query, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def search_closed(self) -> list[MlflowRun]:
        """All runs that are not open, newest first."""
        return self.search("attributes.status != 'RUNNING'")

    def search_training(self, run_id: str) -> list[MlflowRun]:
        """The runs of a training or claim, newest first."""
        return self.search(f"tags.run_id = '{run_id}'")

    def find_judging(self, trial_id: str) -> MlflowRun:
        """The newest closed run with a judgement, which there must be; found without a look at the others."""
        return self.search(f"tags.`{_JUDGEMENT}{trial_id}` LIKE '%' and attributes.status != 'RUNNING'")[0]

    def closed_runs(self) -> dict[str, MlflowRun]:
        """Run id -> the newest closed run of MLflow, oldest first."""
        runs: dict[str, MlflowRun] = {}
        for run in self.search_closed():
            if run.data.tags.keys() >= {"run_id", "kind", "outcome"}:  # others may log here too
                runs.setdefault(run.data.tags["run_id"], run)
        return dict(reversed(runs.items()))

    def judgements(self) -> dict[str, Judged]:
        """Trial id -> the run and the tags of the judgement, of those that judge the weights of the newest run of their training."""
        newest, found = dict[str, str](), dict[str, Judged]()
        for run in self.search_closed():
            weights = newest.setdefault(run.data.tags.get("run_id", ""), run.data.tags.get("weights", ""))
            for trial_id, tags in judgements_of(run).items():
                if tags["judged_weights"] == weights:
                    found.setdefault(trial_id, (run, {**run.data.tags, **tags}))
        return found


def judgements_of(run: MlflowRun) -> dict[str, dict[str, str]]:
    """Trial id -> tags of the judgements of a run of MLflow."""
    return {name.removeprefix(_JUDGEMENT): json.loads(text) for name, text in run.data.tags.items() if name.startswith(_JUDGEMENT)}


def judgement_tag(trial_id: str, tags: dict[str, str]) -> dict[str, str]:
    """The one tag that holds all tags of a judgement."""
    return {f"{_JUDGEMENT}{trial_id}": json.dumps(tags)}
