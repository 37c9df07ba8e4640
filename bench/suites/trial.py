"""One method on one task with one seed at one tier."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from bench import registry
from bench.spec import Spec

Role = Literal["row", "tuning", "sensitivity"]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One method on one task with one seed at one tier. `spec` holds every hyper-parameter that differs from the paper's.

    Attributes:
        label: the name of its row; of a trial that tunes or varies a row, that row's.
        workload: the name of its table, where there are several.
        test: the name of its test set, where there are several; the last part of the table's name.
        role: what it is for; all but rows are scored on the validation split alone.
        tried: of a trial that is no row, what it tries: {"study": 0, "lr": 0.01}.
        plan: the same for a row and the trials that tune and vary it; empty where there are none.
        costs: what finding the row's settings took.
    """

    suite: str
    task: Spec
    label: str
    spec: Spec
    seed: int
    tier: str
    evaluations: int
    workload: str = ""
    test: str = ""
    role: Role = "row"
    tried: Mapping[str, float] = dataclasses.field(default_factory=dict)
    plan: str = ""
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Updates to train for; 0 for a method that needs no training."""
        return int(getattr(registry.find("method", self.spec.name).HP(**self.spec.options), "steps", 0))

    @property
    def base_workload(self) -> str:
        """The suite's own name of its workload, that of its test set aside."""
        return without_test(self.workload, self.test)

    @property
    def title(self) -> str:
        """Its name among all trials of a run, but for the seed."""
        return title_of(self.workload, self.label, self.role, self.tried)


def without_test(workload: str, test: str) -> str:
    """The name of a table without that of its test set: "digits/set5" -> "digits", "set5" -> ""."""
    return workload.removesuffix(test).removesuffix("/") if test else workload


def title_of(workload: str, label: str, role: str, tried: Mapping[str, float]) -> str:
    """How a trial is called in front of users."""
    values = ", ".join(f"{k} {v:g}" for k, v in tried.items())
    return (f"{workload}: " if workload else "") + label + (f" ({role}: {values})" if values else "")
