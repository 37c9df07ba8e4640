"""What is on record of a suite, wherever it is kept: which trials, and which of them belong into one table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.store import identity
from bench.store.record import TrialRecord
from bench.suites.trial import Trial


class Records:
    """The closed trials of one suite. A keeper of them says how they are found and read."""

    uri: str  # where they are kept

    def done(self) -> dict[str, dict[str, str]]:
        """Trial id -> tags of every closed trial, oldest first."""
        raise NotImplementedError

    def read(self, trial_ids: Iterable[str], scratch: Path | None = None) -> list[TrialRecord]:
        """The records of these trials, in their order; those that are not closed are left out. A `scratch` folder brings the galleries along."""
        raise NotImplementedError

    def newest(self, trial_id: str) -> TrialRecord:
        """The record of one closed trial, found without a look at the others."""
        raise NotImplementedError

    def note(self, trial_id: str, about: Mapping[str, str]) -> None:
        """Change what a suite says of a trial on record: its name and its place. What came of it stays."""
        raise NotImplementedError

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
        chosen = {(*_place(t), t["seed"]): t["trial_id"] for t in same if t["row"] == rows[_place(t)]}  # of a seed the newest, whole or in parts
        return self.read((chosen | {(r.workload, r.label, str(r.seed)): r.trial_id for r in asked}).values(), scratch)

    def beside(self, rows: Iterable[TrialRecord]) -> list[TrialRecord]:
        """The trials that tuned and varied these rows, run with the same code, data and means as they; of each the newest."""
        alike = {(r.plan, _means(r)) for r in rows if r.plan}
        plans = {plan for plan, _ in alike}
        ids = [i for i, t in self.done().items() if t.get("role", "row") != "row" and t.get("plan") in plans]
        serving = [r for r in self.read(ids) if (r.plan, _means(r)) in alike]
        return list({(r.workload, r.label, r.role, r.seed, json.dumps(r.tried)): r for r in serving}.values())


def notes(trial: Trial | TrialRecord) -> dict[str, str]:
    """What a suite says of a trial that does not decide its result: the tags that a later run of the suite may change."""
    tuning = {k: v for k, v in trial.costs.items() if k.startswith("tuning_")}
    return {"label": trial.label, "workload": trial.workload, "plan": trial.plan, "tuning": json.dumps(tuning) if tuning else ""}


def tags_of(trial: Trial | TrialRecord) -> dict[str, str]:
    """Which trial it is and what it is for."""
    names = ("suite", "task", "spec", "seed", "tier", "role")
    return {name: str(getattr(trial, name)) for name in names} | notes(trial) | {"tried": json.dumps(dict(trial.tried))}


def tags_at_start(record: TrialRecord) -> dict[str, str]:
    """What is known of a trial before it runs: which it is, where it runs, the row and the table that it belongs to."""
    about = tags_of(record) | {"trial_id": record.trial_id} | {name: record.environment[name] for name in ("device", "git")}
    return about | {"row": identity.row_of(record.parts), "protocol": identity.protocol_of(record.parts)}


def tags_at_end(record: TrialRecord) -> dict[str, str]:
    """What came of it."""
    return {"outcome": record.outcome, "reason": record.reason, "attempt": record.attempt, **notes(record), **record.tags}


def noted(record: TrialRecord, tags: Mapping[str, str]) -> TrialRecord:
    """The record as it is called now."""
    record.label, record.workload, record.plan = tags["label"], tags.get("workload", ""), tags.get("plan", "")
    record.costs = {k: v for k, v in record.costs.items() if not k.startswith("tuning_")} | json.loads(tags.get("tuning") or "{}")
    return record


def _means(record: TrialRecord) -> str:
    """What a row has in common with the trials that serve it: all but hyper-parameters, seed and role."""
    return identity.id_of({k: v for k, v in record.parts.items() if not k.startswith("hp.") and k not in ("seed", "role")})


def _place(tags: Mapping[str, str]) -> tuple[str, str]:
    return tags.get("workload", ""), tags["label"]
