"""What a trial leaves behind, as plain data: the store writes it, the report reads it, neither knows the other."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import UsageError
from bench.suites.trial import title_of

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["finished", "diverged", "failed", "skipped"]
PER_IMAGE = ("column", "image", "value", "group")
CURVES = ("key", "step", "images", "seconds", "value")
_TILE = re.compile(r"(?<=.)@\d+,\d+$")
Point = tuple[str, int, int, float, float]
"""A point of a curve: key, step, images seen, training seconds, value."""

FRAMES = {"per_image": PER_IMAGE, "curves": CURVES}  # kept as parquet beside record.json


def _frame(columns: tuple[str, ...], rows: Any = ()) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))


@dataclasses.dataclass
class TrialRecord:
    """One method on one task with one seed at one tier.

    Attributes:
        label: the name of its row in a table; the trials of one label differ in the seed alone.
        spec: the method's spec string with every option resolved.
        trial_id: hash of everything that could change the result; `parts` is what was hashed.
        reason: why the trial diverged, failed or was skipped; empty when it finished.
        final: column -> test score of the last weights. best: the same at the step chosen on validation.
        per_image: test scores of the last weights; columns `PER_IMAGE`; each image once a column, with the group that it belongs to: the
            photograph, patient or video that it was taken from, its own name where it stands for itself.
        curves: training losses ("train/...") and validation scores ("validation/..."); columns `CURVES`.
        summary: auc (of the validation score over training), best_step, collapse_step, ...
        costs: train_seconds, images_per_s, peak_memory_mb, parameters, gflops, ms_per_image.
        cards: column -> `Card.to_json()`.
        tags: marks on the row, such as {"oracle": "PSF"} for a method that was given the blur kernel; others stand under the table (`bench.store.remarks`).
        gallery: folder of NN.json items with the pictures they name.
        workload: the name of its table, where a suite has several.
        role: "row"; or "tuning" or "sensitivity" for a trial that serves the row of its label: `final` is empty then, validation is all it saw.
        tried: what such a trial tries: {"study": 0, "lr": 0.01}.
        plan: the same for a row and the trials that serve it; empty where there are none.
        attempt: a name of its own for every time that a trial was run to its end, so that no result enters a store twice.
        ended: when that was, in Unix seconds.
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
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    parts: dict[str, str] = dataclasses.field(default_factory=dict)
    final: dict[str, float] = dataclasses.field(default_factory=dict)
    best: dict[str, float] = dataclasses.field(default_factory=dict)
    per_image: pd.DataFrame = dataclasses.field(default_factory=functools.partial(_frame, PER_IMAGE))
    curves: pd.DataFrame = dataclasses.field(default_factory=functools.partial(_frame, CURVES))
    summary: dict[str, float] = dataclasses.field(default_factory=dict)
    costs: dict[str, float] = dataclasses.field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    gallery: Path | None = None
    workload: str = ""
    role: str = "row"
    tried: dict[str, float] = dataclasses.field(default_factory=dict)
    plan: str = ""
    attempt: str = ""
    ended: float = 0.0

    @property
    def title(self) -> str:
        """Its name among all trials of a run, but for the seed."""
        return title_of(self.workload, self.label, self.role, self.tried)

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
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in FRAMES}
        return {k: strict(v) for k, v in (plain | {"gallery": str(self.gallery) if self.gallery else None}).items()}

    def to_json(self) -> dict[str, Any]:
        """The head, and the frames as lists of their columns."""
        return self.head() | {name: strict(getattr(self, name).to_dict("list")) for name in FRAMES}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrialRecord:
        """The record that `to_json` wrote."""
        import pandas as pd

        numbers = {k: {c: float(v) for c, v in data.get(k, {}).items()} for k in ("final", "best", "summary", "costs", "tried")}
        frames = {k: pd.DataFrame(data[k]).astype({"value": float}) for k in FRAMES}
        frames["per_image"] = _with_groups(frames["per_image"])
        return cls(**(data | numbers | frames | {"gallery": Path(data["gallery"]) if data["gallery"] else None}))


def _with_groups(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores that were recorded before groups were: a tile, `photo@top,left`, belongs to its photo, any other image to itself."""
    return frame if "group" in frame else frame.assign(group=[_TILE.sub("", name) for name in frame["image"]])


def sampling_error(column: str) -> str:
    """The key in `summary` of the standard error that the luck of its samples gives a score."""
    return f"sampling_error/{column}"


def strict(value: Any) -> Any:
    """The value with every number that JSON cannot hold turned into a string."""
    if isinstance(value, dict):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    return str(float(value)) if isinstance(value, float) and not math.isfinite(value) else value


def write_record(record: TrialRecord, folder: Path) -> None:
    """A record as files: per_image.parquet, curves.parquet, and record.json, which comes last: where it stands, all do.

    Raises:
        UsageError: the disk is full or the folder cannot be written.
    """
    try:
        for name in FRAMES:
            getattr(record, name).to_parquet(folder / f"{name}.parquet")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    write_head(record, folder)


def write_head(record: TrialRecord, folder: Path) -> None:
    """All but the frames, as record.json; an earlier one stays whole until the new one is.

    Raises:
        UsageError: the disk is full or the folder cannot be written.
    """
    data = record.head() | {"gallery": None}
    part = folder / "record.json.part"
    try:
        part.write_text(json.dumps(data, indent=1, allow_nan=False), encoding="utf-8")
        os.replace(part, folder / "record.json")
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write the record {folder}: {error}; free some space or give another --out, then run the same command again")


def read_record(folder: Path) -> TrialRecord:
    """The record that `write_record` wrote, its gallery included."""
    import pandas as pd

    data = read_head(folder)
    record = TrialRecord.from_json(data | {name: pd.read_parquet(folder / f"{name}.parquet") for name in FRAMES})
    record.gallery = folder / "gallery" if (folder / "gallery").is_dir() else None
    return record


def read_head(folder: Path) -> dict[str, Any]:
    """What record.json says: all but the frames.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    data: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    fields = {f.name: f.default is f.default_factory for f in dataclasses.fields(TrialRecord) if f.name not in FRAMES}  # whether it must be there
    if not isinstance(data, dict) or data.keys() - fields.keys() or any(needed and name not in data for name, needed in fields.items()):
        raise ValueError(f"{folder / 'record.json'} is no record of a trial")
    return data
