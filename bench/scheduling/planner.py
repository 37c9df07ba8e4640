"""Which trials run, and why: trainings that have no weights on record, judgements that nobody made."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.judging.judge import LAST, weights_file
from bench.running.identify import OUTPUTS_SAVED, Identity, identify, training_task
from bench.running.job import Job
from bench.running.settings import Settings
from bench.store.identity import describe_changes
from bench.store.ledger import Ledger
from bench.store.records import place_of, tags_of_trial
from bench.suites.trial import Trial
from bench.training.build import build, open_task

Tags = Mapping[str, str]
Entry = tuple[int, Trial, Identity]  # a trial with its place among those asked for
Facts = tuple[Mapping[str, str], Mapping[str, str]]  # of a training, of a judgement
_OURS = ("finished", "diverged")  # outcomes that another attempt would come to again


@dataclasses.dataclass(frozen=True)
class Known:
    """What was on record when a run began.

    Attributes:
        runs: training id -> tags. trials: trial id -> tags; both oldest first.
        attempts: training id -> attempts of the records in its run directory (id -> attempt).
    """

    runs: Mapping[str, Tags]
    trials: Mapping[str, Tags]
    attempts: Mapping[str, Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Planner:
    """Turns trials into the jobs that are missing."""

    settings: Settings
    ledger: Ledger
    known: Known
    fresh: bool

    def identify(self, trial: Trial) -> Identity:
        """What decides its result. One that fitted into memory as it is need not run again for being allowed to run in
        parts, and one whose outputs were saved not for not asking for them.
        """
        if self.settings.on_oom != "fail" and not self.fresh:
            whole = identify(trial, dataclasses.replace(self.settings, on_oom="fail"))
            if self.known.runs.get(whole.training_id, {}).get("outcome") == "finished":
                return whole
        asked = identify(trial, self.settings)
        kept = dataclasses.replace(asked, judging=asked.judging | OUTPUTS_SAVED)
        return kept if kept.trial_id in self.known.trials and not self.fresh else asked

    def jobs(self, trials: Sequence[Trial], identities: Sequence[Identity]) -> list[Job]:
        """The jobs that are missing, in the order of the trials; those that share a training make one."""
        groups: dict[str, dict[str, int]] = {}
        for index, identity in enumerate(identities):
            groups.setdefault(identity.training_id, {}).setdefault(identity.trial_id, index)
        latest = {place_of(tags): trial_id for trial_id, tags in self.known.trials.items()}
        jobs = [self._plan_job([(i, trials[i], identities[i]) for i in group.values()], latest) for group in groups.values()]
        return [job for job in jobs if job is not None]

    def _plan_job(self, group: Sequence[Entry], latest: Mapping[tuple[str, ...], str]) -> Job | None:
        training_id = group[0][2].training_id
        missing = [entry for entry in group if self._is_missing(entry[1], entry[2])]
        reason = self._must_train(group[0][1], training_id, bool(missing))
        if reason is None and not missing:
            return None
        chosen = list(group) if reason is not None else missing
        index, trial, identity = chosen[0]
        before = self._read_facts(latest.get(place_of(tags_of_trial(trial)), ""))
        if reason is not None:
            why = _why_train(trial, reason, identity, before)
        else:
            ended = self.known.trials.get(identity.trial_id, {}).get("outcome", "")
            why = _why_judge([t for _, t, _ in chosen], identity, before, ended)
        replaces = self._attempts_to_replace(training_id, chosen, reason is not None)
        return Job(index, tuple(t for _, t, _ in chosen), tuple(i for _, _, i in chosen), replaces, why)

    def _is_missing(self, trial: Trial, identity: Identity) -> bool:
        """Whether it is to be judged: it was not, or it may now come to a result."""
        tags = self.known.trials.get(identity.trial_id)
        if self.fresh or tags is None or tags["outcome"] == "failed":
            return True
        return tags["outcome"] == "skipped" and _can_run_now(trial, self.settings)

    def _must_train(self, trial: Trial, training_id: str, missing: bool) -> str | None:
        """Why it is to be trained; empty where it never was, None where it is not."""
        tags = self.known.runs.get(training_id)
        if tags is None:
            return ""
        if self.fresh:
            return "asked to run afresh"
        if tags["outcome"] not in _OURS:
            if tags["outcome"] == "failed":
                return "it failed before"
            return "it can run now" if missing and _can_run_now(trial, self.settings) else None
        if missing and not self._has_weights(trial, training_id, tags):
            return "its weights were not kept"
        return None

    def _has_weights(self, trial: Trial, training_id: str, tags: Tags) -> bool:
        """Whether what is to be judged lies in its run directory, or could be brought there from the store."""
        folder = self.ledger.folders.of(training_id)
        if folder.attempt() is None and not self.ledger.bring(training_id):
            return False
        needs = trial.role == "row" and tags["outcome"] == "finished" and tags.get("weights", "{}") != "{}"
        return not needs or weights_file(folder, LAST).is_file()

    def _attempts_to_replace(self, training_id: str, chosen: Sequence[Entry], trains: bool) -> frozenset[str]:
        """The attempts that the job makes again."""
        made = self.known.attempts.get(training_id, {})
        ids = [identity.trial_id for _, _, identity in chosen] + ([training_id] if trains else [])
        return frozenset(made[i] for i in ids if i in made)

    def _read_facts(self, trial_id: str) -> Facts | None:
        """What decided a trial on record; None where there is none, or it cannot be read."""
        if not trial_id:
            return None
        with contextlib.suppress(UsageError):
            return self.ledger.facts(self.known.trials[trial_id]["training_id"], trial_id)
        return None


def _why_train(trial: Trial, reason: str, identity: Identity, before: Facts | None) -> str:
    if not reason and before is None:
        return ""
    changes = describe_changes(before[0], identity.training) if before and not reason else reason
    again = "reads again" if registry.find("method", trial.spec.name).origin else "trains again"
    return f"{again}: {changes}" if changes else again


def _why_judge(trials: Sequence[Trial], identity: Identity, before: Facts | None, ended: str) -> str:
    tests = ", ".join(trial.test for trial in trials if trial.test)
    on = f" on {tests}" if tests else ""
    if before is None:
        return f"judges its weights{on}"
    changes = describe_changes(before[1], identity.judging)
    again = {"failed": "it failed before", "skipped": "it can run now"}.get(ended, "its weights were trained again")
    return f"judges again{on}: {changes or again}"


def _can_run_now(trial: Trial, settings: Settings) -> bool:
    """Whether what was missing when the trial was skipped, such as a weight, has come."""
    try:
        for task in (training_task(trial), trial.task):
            build(trial, open_task(str(task), settings.data_root, settings.device_here))
    except Unavailable:
        return False
    return True
