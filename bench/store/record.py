"""A trial as its readers see it: its training and a judgement of it in one, as plain data. The report reads it, and knows no store."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store.stored import CURVES, PER_IMAGE, Judgement, Outcome, Training, empty_frame, strict
from bench.suites.trial import title_of, without_test

if TYPE_CHECKING:
    import pandas as pd

_FRAMES = ("per_image", "curves")


@dataclasses.dataclass
class TrialRecord:
    """One method on one task with one seed at one tier, judged on one test set.

    Attributes:
        trial_id: the judgement's id. training_id: that of what it judges.
        training_facts: what decided the weights. judging_facts: what decided the scores of given weights.
        outcome, reason: the training's where that did not finish, else the judgement's.
        attempt: the training's. judged: the judgement's.
        environment: where it was trained, and, as "judged_...", what was another where it was judged.
        gallery: folder of NN.json items with the pictures they name.

    The others are explained in `bench.store.stored`.
    """

    suite: str
    task: str
    label: str
    spec: str
    seed: int
    tier: str
    trial_id: str
    outcome: Outcome
    reason: str = ""
    training_id: str = ""
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    training_facts: dict[str, str] = dataclasses.field(default_factory=dict)
    judging_facts: dict[str, str] = dataclasses.field(default_factory=dict)
    final: dict[str, float] = dataclasses.field(default_factory=dict)
    best: dict[str, float] = dataclasses.field(default_factory=dict)
    per_image: pd.DataFrame = dataclasses.field(default_factory=lambda: empty_frame(PER_IMAGE))
    curves: pd.DataFrame = dataclasses.field(default_factory=lambda: empty_frame(CURVES))
    summary: dict[str, float] = dataclasses.field(default_factory=dict)
    costs: dict[str, float] = dataclasses.field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    gallery: Path | None = None
    workload: str = ""
    test: str = ""
    role: str = "row"
    tried: dict[str, float] = dataclasses.field(default_factory=dict)
    plan: str = ""
    attempt: str = ""
    judged: str = ""
    ended: float = 0.0

    @property
    def title(self) -> str:
        """Its name among all trials of a run, but for the seed."""
        return title_of(self.workload, self.label, self.role, self.tried)

    @property
    def base_workload(self) -> str:
        """The suite's own name of its workload, that of its test set aside."""
        return without_test(self.workload, self.test)

    @property
    def facts(self) -> dict[str, str]:
        """All that decided the result."""
        return {**self.training_facts, **self.judging_facts}

    @property
    def trained(self) -> bool:
        """Whether it was trained, so that its scores depend on the seed."""
        return "train_seconds" in self.costs

    @property
    def table(self) -> str:
        """What its leaderboard is known by: the workload, or the task."""
        return self.workload or self.task

    def head(self) -> dict[str, Any]:
        """All but the frames as strict JSON values; numbers that are not finite become the strings "nan", "inf" and "-inf"."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in _FRAMES}
        return {k: strict(v) for k, v in (plain | {"gallery": str(self.gallery) if self.gallery else None}).items()}

    def to_json(self) -> dict[str, Any]:
        """The head, and the frames as lists of their columns."""
        return self.head() | {name: strict(getattr(self, name).to_dict("list")) for name in _FRAMES}


def join(training: Training, judgement: Judgement, gallery: Path | None = None) -> TrialRecord:
    """A training and a judgement of it as one record."""
    ended = training if training.outcome != "finished" else judgement
    where = judgement.environment.items()
    return TrialRecord(
        suite=training.suite, task=judgement.task, label=judgement.label, spec=training.spec, seed=training.seed, tier=training.tier,
        trial_id=judgement.id, training_id=training.id, outcome=ended.outcome, reason=ended.reason, params=training.params,
        training_facts=training.facts, judging_facts=judgement.facts, final=judgement.final, best=judgement.best,
        per_image=judgement.per_image, curves=training.curves,
        summary={**training.summary, **judgement.summary}, costs={**training.costs, **judgement.costs}, cards=judgement.cards,
        environment={**training.environment, **{f"judged_{k}": v for k, v in where if training.environment.get(k) != v}},
        tags={**training.tags, **judgement.tags}, gallery=gallery, workload=judgement.workload, test=judgement.test, role=judgement.role,
        tried=judgement.tried, plan=judgement.plan, attempt=training.attempt, judged=judgement.attempt, ended=judgement.ended,
    )  # fmt: skip


def sampling_error(column: str) -> str:
    """The key in `summary` of the standard error that the luck of its samples gives a score."""
    return f"sampling_error/{column}"
