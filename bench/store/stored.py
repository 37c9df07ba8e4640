"""What is stored, as plain data: the training of a trial, a judgement of its weights, the check of a claim. See `record_files`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["finished", "diverged", "failed", "skipped"]
Point = tuple[str, int, int, float, float]
"""A point of a curve: key, step, images seen, training seconds, value."""

CURVES = ("key", "step", "images", "seconds", "value")
PER_IMAGE = ("column", "image", "value", "group")


def empty_frame(columns: tuple[str, ...]) -> pd.DataFrame:
    """A frame without rows."""
    import pandas as pd

    return pd.DataFrame(columns=list(columns))


@dataclasses.dataclass(kw_only=True)
class Stored:
    """Base of what is stored.

    Attributes:
        id: hash of `facts`: of everything that could change the result.
        facts: what was hashed, by name.
        outcome: how it ended. reason: why, where it did not finish.
        environment: versions, machine, device: they may move bits, and decide nothing.
        tags: marks and notes for readers.
        attempt: a name of its own for every time that it was made, so that none enters a store twice.
        ended: when that was, in Unix seconds.
    """

    kind: ClassVar[str]
    frames: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # field -> columns of what is kept as parquet beside record.json
    numbers: ClassVar[tuple[str, ...]] = ("summary", "costs")  # fields whose values may be nan or infinite

    id: str
    suite: str
    outcome: Outcome = "finished"
    reason: str = ""
    facts: dict[str, str] = dataclasses.field(default_factory=dict)
    summary: dict[str, float] = dataclasses.field(default_factory=dict)
    costs: dict[str, float] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    attempt: str = ""
    ended: float = 0.0

    def head(self) -> dict[str, Any]:
        """All but the frames as strict JSON values; numbers that are not finite become the strings "nan", "inf" and "-inf"."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in self.frames}
        return {"kind": self.kind, **{name: strict(value) for name, value in plain.items()}}

    @classmethod
    def from_head(cls, head: Mapping[str, Any], frames: Mapping[str, pd.DataFrame] | None = None) -> Self:
        """The record whose head that is, with its frames; without them they are empty.

        Raises:
            ValueError: it is the head of something else.
        """
        fields = [f for f in dataclasses.fields(cls) if f.name not in cls.frames]
        unknown = head.keys() - {f.name for f in fields} - {"kind"}
        required = {f.name for f in fields if f.default is f.default_factory}  # neither has a value
        if head.get("kind") != cls.kind or unknown or required - head.keys():
            raise ValueError(f"it is no {cls.kind} of this version")
        values: dict[str, Any] = {
            k: {c: float(v) for c, v in head.get(k, {}).items()} if k in cls.numbers else v for k, v in head.items() if k != "kind"
        }
        found = frames or {name: empty_frame(columns) for name, columns in cls.frames.items()}
        return cls(**values, **{name: frame.astype({"value": float}) for name, frame in found.items()})


@dataclasses.dataclass(kw_only=True)
class Training(Stored):
    """One method trained on one task under one seed; of a method that has nothing to train, its settings.

    Attributes:
        task: the task's spec without what only judges.
        spec: the method's spec with every option resolved. params: the same, by name.
        title: what its trial was called when it ran.
        curves: losses ("train/...") and validation scores ("validation/..."); columns `CURVES`.
        summary: steps, best_step, auc, collapse_step, noise of the gradient, ...
        costs: train_seconds, images_per_s.
        weights: "last", and "best" where others were best on validation -> the hash of their file; empty where nothing was trained.
    """

    kind: ClassVar[str] = "training"
    frames: ClassVar[Mapping[str, tuple[str, ...]]] = {"curves": CURVES}

    task: str
    spec: str
    title: str
    seed: int
    tier: str
    role: str = "row"
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    weights: dict[str, str] = dataclasses.field(default_factory=dict)
    curves: pd.DataFrame = dataclasses.field(default_factory=lambda: empty_frame(CURVES))


@dataclasses.dataclass(kw_only=True)
class Judgement(Stored):
    """What the weights of a training are worth on one test set; of a training that diverged, failed or was skipped, that it did.

    Attributes:
        training: its id.
        weights: of which weights it tells, as `Training.weights`.
        task: the task's whole spec.
        label: the name of its row in a table; the trials of one label differ in the seed alone.
        workload: the name of its table, where there are several. test: that of its test set, where there are several.
        role: "row"; or "tuning" or "sensitivity" for a trial that serves the row of its label: it is validated only, nothing is scored.
        tried: what such a trial tries: {"study": 0, "lr": 0.01}.
        plan: the same for a row and the trials that serve it; empty where there are none.
        final: column -> test score of the last weights. best: of those that were best on validation.
        per_image: test scores of the last weights; columns `PER_IMAGE`; each image once a column, with the group that it belongs to: the
            photograph, patient or video that it was taken from, its own name where it stands for itself.
        costs: of use (peak_memory_mb, parameters, gflops, ms_per_image), and of tuning.
        cards: column -> `Card.to_json()`.
    """

    kind: ClassVar[str] = "judgement"
    frames: ClassVar[Mapping[str, tuple[str, ...]]] = {"per_image": PER_IMAGE}
    numbers: ClassVar[tuple[str, ...]] = ("summary", "costs", "final", "best", "tried")

    training: str
    task: str
    label: str
    workload: str = ""
    test: str = ""
    role: str = "row"
    tried: dict[str, float] = dataclasses.field(default_factory=dict)
    plan: str = ""
    weights: dict[str, str] = dataclasses.field(default_factory=dict)
    final: dict[str, float] = dataclasses.field(default_factory=dict)
    best: dict[str, float] = dataclasses.field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    per_image: pd.DataFrame = dataclasses.field(default_factory=lambda: empty_frame(PER_IMAGE))


@dataclasses.dataclass(kw_only=True)
class ClaimCheck(Stored):
    """What came of a claim of the theory.

    Attributes:
        claim: paper/name.
        tier: the cost of the check, fast or slow.
        params: place, statement, prediction, tolerance, as texts.
        checked: `bench.claim.Checked` as plain values.
    """

    kind: ClassVar[str] = "claim"

    claim: str
    tier: str
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    checked: dict[str, Any] = dataclasses.field(default_factory=dict)


Run = Training | ClaimCheck
"""What is one run of the store."""


def strict(value: Any) -> Any:
    """The value with every number that JSON cannot hold turned into a string."""
    if isinstance(value, Mapping):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    return str(float(value)) if isinstance(value, float) and not math.isfinite(value) else value
