"""What a claim is: one sentence of a paper's theory, a prediction, and a measurement that could contradict it.

`bench/claims/<paper>.py` holds a `PAPER` and, in the order of the text, functions marked `@claim(...)`, each of which returns a `Finding`.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch

from bench.errors import Unavailable
from bench.figure import Figure

FOLDER = Path(__file__).parent / "claims"

Verdict = Literal["holds", "holds with a deviation", "fails", "not checked"]
Relation = Literal["=", "<=", ">="]
Cost = Literal["fast", "slow"]  # under 2 s, under 60 s


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paper:
    """Where claims come from. `lesson` is what its theory says, in a few sentences; paragraphs are separated by empty lines."""

    title: str
    authors: str
    venue: str
    year: int
    lesson: str
    arxiv: str = ""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was predicted and measured, by the name of the case (an empty one where there is one case), and a figure that shows it."""

    cases: Mapping[str, tuple[float, float]]  # predicted, measured
    figure: Figure


@dataclasses.dataclass(frozen=True)
class Checked:
    """A claim's outcome. `reason` says why it fails without numbers or was not checked; `cases` holds (name, predicted, measured)."""

    verdict: Verdict
    seconds: float
    cases: tuple[tuple[str, float, float], ...] = ()
    figure: Figure = dataclasses.field(default_factory=list)
    reason: str = ""
    trace: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim as `claim` makes it, where the fields are explained."""

    measure: Callable[[], Finding]
    place: str
    statement: str
    predicted: str
    how: str
    tolerance: float
    relation: Relation
    relative: bool
    cost: Cost
    deviation: str

    @property
    def id(self) -> str:
        """The name that a user types: "paper/claim"."""
        return f"{self.measure.__module__.rpartition('.')[2]}/{self.measure.__name__}"

    def agrees(self, predicted: float, measured: float) -> bool:
        """Whether a measured number is what was predicted, within the tolerance. NaN never is."""
        if predicted == measured:
            return True  # infinities too
        slack = self.tolerance * (abs(predicted) if self.relative else 1)
        excess = {"=": abs(measured - predicted), "<=": measured - predicted, ">=": predicted - measured}[self.relation]
        return excess <= slack and math.isfinite(measured)

    def check(self) -> Checked:
        """Measure under seed 0, on the CPU, the global generator left as it was."""
        began = time.perf_counter()
        try:
            with torch.random.fork_rng([]):
                torch.manual_seed(0)
                finding = self.measure()
        except Unavailable as error:
            return Checked("not checked", time.perf_counter() - began, reason=str(error))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return Checked("fails", time.perf_counter() - began, reason=reason, trace=traceback.format_exc())
        cases = tuple((name, float(predicted), float(measured)) for name, (predicted, measured) in finding.cases.items())
        holds = bool(cases) and all(self.agrees(predicted, measured) for _, predicted, measured in cases)
        verdict: Verdict = ("holds with a deviation" if self.deviation else "holds") if holds else "fails"
        return Checked(verdict, time.perf_counter() - began, cases, finding.figure)


def claim(
    *,
    place: str,
    statement: str,
    predicted: str,
    how: str,
    tolerance: float = 0.0,
    relation: Relation = "=",
    relative: bool = False,
    cost: Cost = "fast",
    deviation: str = "",
) -> Callable[[Callable[[], Finding]], Claim]:
    """Make a claim of a function that measures.

    Args:
        place: theorem, equation, table or figure of the paper.
        statement: what the paper says, in one sentence.
        predicted: the formula or relation that the predicted numbers follow.
        how: what is measured: which of the registry's parts, which data, seed and steps.
        tolerance: by how much a measured number may miss the prediction.
        relation: whether it must equal it, or stay below or above it.
        relative: the tolerance is a share of the prediction.
        cost: fast (under 2 s) or slow (under 60 s).
        deviation: where the paper, as printed, differs from what is checked here, and why.
    """

    def mark(measure: Callable[[], Finding]) -> Claim:
        return Claim(
            measure=measure, place=place, statement=statement, predicted=predicted, how=how, tolerance=tolerance, relation=relation,
            relative=relative, cost=cost, deviation=deviation,
        )  # fmt: skip

    return mark


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A paper and its claims, in the order of its file."""

    name: str
    paper: Paper
    claims: tuple[Claim, ...]


@dataclasses.dataclass(frozen=True)
class ClaimEntry:
    """A claim beside what was found; None where it was not asked for yet."""

    claim: Claim
    checked: Checked | None


def chapters() -> list[Chapter]:
    """Every paper of `bench/claims`, oldest first."""
    modules = [importlib.import_module(f"bench.claims.{file.stem}") for file in FOLDER.glob("[!_]*.py")]
    return sorted(map(_chapter, modules), key=lambda c: (c.paper.year, c.paper.title))


def _chapter(module: ModuleType) -> Chapter:
    claims = tuple(value for value in vars(module).values() if isinstance(value, Claim) and value.measure.__module__ == module.__name__)
    return Chapter(module.__name__.rpartition(".")[2], module.PAPER, claims)
