"""What is on record of a suite, in the store or in run directories: which trials, and which of them make a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.store import identity
from bench.store.record import TrialRecord
from bench.store.stored import ClaimCheck, Judgement, Run, Training
from bench.suites.trial import Trial

_LONGEST = 1000  # characters of a reason in a tag


class Records:
    """The closed runs of one suite and the judgements of their trainings. Subclasses say how they are found and read."""

    uri: str  # where they are kept

    def runs(self) -> dict[str, dict[str, str]]:
        """Run id -> tags of every closed run, oldest first."""
        raise NotImplementedError

    def trials(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags of every judgement and its training, oldest first."""
        raise NotImplementedError

    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        """The records of these trials, in their order, of those that are judged. With a `scratch` folder for them galleries come along."""
        raise NotImplementedError

    def rename(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change what a suite says of a trial on record: its name and its place. What came of it stays."""
        raise NotImplementedError

    def leaderboard_records(self, tier: str | None, scratch: Path, asked: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
        """The rows of the tables: each table of one protocol (task, data, cards, tier), each row of trials that differ in the seed alone.

        Args:
            tier: only of this tier.
            scratch: a folder for artifacts of a remote server, to be kept while the records' galleries are in use.
            asked: the trials whose protocol and rows are wanted; those newest on record where there are none.

        Raises:
            UsageError: nothing is on record.
        """
        tags = [t for t in self.trials().values() if tier in (None, t["tier"]) and t["role"] == "row"]
        if not tags:
            raise UsageError(f"nothing on record in {self.uri}{f' at tier {tier}' if tier else ''}: run the suite first")
        alike = [t for t in tags if t["tier"] == tags[-1]["tier"] and bool(t["test"]) == bool(tags[-1]["test"])]
        newest = {t["workload"]: t["protocol"] for t in alike}
        protocols = {r.workload: identity.protocol_of(r.facts) for r in asked} or (
            newest if tags[-1]["workload"] else {"": tags[-1]["protocol"]}
        )
        same = [t for t in tags if protocols.get(t["workload"]) == t["protocol"]]
        rows = {_table_row(t): t["row"] for t in same} | {(r.workload, r.label): identity.row_of(r.facts) for r in asked}
        chosen = {
            (*_table_row(t), t["seed"]): t["trial_id"] for t in same if t["row"] == rows[_table_row(t)]
        }  # of a seed the newest, whole or in parts
        return self.read((chosen | {(r.workload, r.label, str(r.seed)): r.trial_id for r in asked}).values(), scratch)

    def tuning_records(self, rows: Iterable[TrialRecord]) -> list[TrialRecord]:
        """The trials that tuned and varied these rows, run with the same code, data and means as they; of each the newest."""
        alike = {(r.plan, _training_conditions(r)) for r in rows if r.plan}
        plans = {plan for plan, _ in alike}
        ids = [i for i, t in self.trials().items() if t["role"] != "row" and t["plan"] in plans]
        serving = [r for r in self.read(ids) if (r.plan, _training_conditions(r)) in alike]
        return list({(r.workload, r.label, r.role, r.seed, json.dumps(r.tried)): r for r in serving}.values())


def names_of(trial: Trial | Judgement) -> dict[str, str]:
    """The tags that do not decide the result of a trial: a later run of the suite may change them."""
    tuning = {k: v for k, v in trial.costs.items() if k.startswith("tuning_")}
    return {
        "label": trial.label, "workload": trial.workload, "test": trial.test, "plan": trial.plan,
        "tuning": json.dumps(tuning) if tuning else "",
    }  # fmt: skip


def with_names(judgement: Judgement, names: Mapping[str, str]) -> Judgement:
    """The judgement with the names that its trial has now."""
    judgement.label, judgement.workload, judgement.test, judgement.plan = (names.get(k, "") for k in ("label", "workload", "test", "plan"))
    judgement.costs = {k: v for k, v in judgement.costs.items() if not k.startswith("tuning_")} | json.loads(names.get("tuning") or "{}")
    return judgement


def tags_of_trial(trial: Trial) -> dict[str, str]:
    """The tags that identify a trial and say what it is for."""
    about: dict[str, str] = {name: str(getattr(trial, name)) for name in ("suite", "task", "spec", "seed", "tier", "role")}
    return about | names_of(trial) | {"tried": json.dumps(dict(trial.tried))}


def tags_at_start(run: Run) -> dict[str, str]:
    """The tags of a run before it ends: which it is, where it runs."""
    where: dict[str, str] = {name: run.environment[name] for name in ("device", "git") if name in run.environment}
    about: dict[str, str] = {"kind": run.kind, "run_id": run.id, "suite": run.suite, **where}
    if isinstance(run, ClaimCheck):
        return about | {"claim": run.claim, "tier": run.tier}
    return about | {"task": run.task, "spec": run.spec, "title": run.title, "seed": str(run.seed), "tier": run.tier}


def tags_of_run(run: Run) -> dict[str, str]:
    """The tags of a run that ended: those at its start, its outcome and its weights."""
    weights = {"weights": json.dumps(run.weights, sort_keys=True)} if isinstance(run, Training) else {}
    return tags_at_start(run) | {"outcome": run.outcome, "reason": run.reason, "attempt": run.attempt, **weights, **run.tags}


def tags_of_judgement(training: Training, judgement: Judgement) -> dict[str, str]:
    """The tags of a judgement: its trial, the row and table that it belongs to, its outcome."""
    facts = {**training.facts, **judgement.facts}
    ended = training if training.outcome != "finished" else judgement
    return names_of(judgement) | {
        "trial_id": judgement.id, "training_id": training.id, "task": judgement.task, "role": judgement.role,
        "tried": json.dumps(judgement.tried),
        "row": identity.row_of(facts), "protocol": identity.protocol_of(facts), "outcome": ended.outcome, "reason": ended.reason[:_LONGEST],
        "judged": judgement.attempt, "judged_weights": json.dumps(judgement.weights, sort_keys=True), "ended": str(judgement.ended),
    }  # fmt: skip


def name_of(run: Run) -> str:
    """What a run is called in the store."""
    return run.claim if isinstance(run, ClaimCheck) else f"{run.title} seed {run.seed}"


def place_of(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The row, seed and tier of a trial, and its purpose, from its tags."""
    return tuple(tags[name] for name in ("label", "seed", "tier", "workload", "role", "tried"))


def _training_conditions(record: TrialRecord) -> str:
    """What the training of a row has in common with those that serve it: all but hyper-parameters, seed and role."""
    return identity.id_of({k: v for k, v in record.training_facts.items() if not k.startswith("hp.") and k not in ("seed", "role")})


def _table_row(tags: Mapping[str, str]) -> tuple[str, str]:
    return tags["workload"], tags["label"]
