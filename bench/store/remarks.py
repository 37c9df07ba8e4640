"""What a reader must know beside the numbers of a table: what could not be computed or read, what happened to a row, where rows ran."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.store.record import TrialRecord

MARKS = ("on_oom", "capped", "restarted", "at_once")  # tags that concern the numbers of one row
_QUIET = ("oracle", "origin", "checkpoints", *MARKS)  # what stands at the row already, or concerns no number
_NAMED = 2  # rows; of the others their number
_NAMES = {"skipped_files": "files left out"}
MOVES_BITS = ("torch", "torchvision", "numpy", "cuda", "device_name", "cpu_capability", "threads")
"""What of a record's environment may change the last bits of a score."""

UNKNOWN = "unknown"  # of a record from before the key was kept


def remarks_of(records: Sequence[TrialRecord]) -> list[str]:
    """Each remark of a table's records once, with the rows that it concerns where those are not all.

    Every tag is a remark but those of single rows. What cannot be computed for one reason shares a line: "fid, kid: unavailable: ...".
    """
    rows: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        for tag, text in record.tags.items():
            if tag not in _QUIET and text:
                rows.setdefault((tag, text), {})[record.label] = None
    columns: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (tag, text), labels in rows.items():
        kind, _, column = tag.partition(".")
        columns.setdefault((kind, text, tuple(labels)), []).append(column)
    everyone = len({record.label for record in records})
    return [_line(kind, text, which, labels if len(labels) < everyone else ()) for (kind, text, labels), which in columns.items()]


def _line(kind: str, text: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    named = [*rows[:_NAMED], *([f"{len(rows) - _NAMED} more"] if len(rows) > _NAMED else [])]
    of, where = ", ".join(filter(None, columns)), " and ".join(named)
    what = _NAMES.get(kind, kind.replace("_", " ")) + (f" for {where}" if where else "")
    return ": ".join(filter(None, [of, what, _shorten_home(text)]))


def _shorten_home(text: str) -> str:
    """Paths below the user's home as a shell takes them: pages are shown to others."""
    home = str(Path.home())
    return text.replace(f"{home}/", "~/") if len(home) > 1 else text


@dataclasses.dataclass(frozen=True)
class EnvironmentDifference:
    """One key of the environment in which the rows of a table differ.

    Attributes:
        key: of `MOVES_BITS`.
        values: value -> label -> the seeds that ran under it, in the order of the records; all seeds of a label where they are not named.
        usual: the value of more rows than any other has; None where there is no such value.
    """

    key: str
    values: Mapping[str, Mapping[str, tuple[int, ...]]]
    usual: str | None

    @property
    def unusual_rows(self) -> frozenset[str]:
        """The labels with a trial under another value than the usual one; all of them where none is usual."""
        return frozenset(label for value, rows in self.values.items() if value != self.usual for label in rows)

    @property
    def text(self) -> str:
        """The line under the table: "rows differ in torch: 2.15.0 (unet, srcnn), 2.14.1 (others)"."""
        odd = [f"{value} ({self._name(rows)})" for value, rows in self.values.items() if value != self.usual]
        usual = [f"{self.usual} (others)"] if self.usual is not None else []
        return f"rows differ in {self.key.replace('_', ' ')}: {', '.join(odd + usual)}"

    def _name(self, rows: Mapping[str, tuple[int, ...]]) -> str:
        """The rows of a value; with their seeds where others of a row's seeds ran under another one."""
        names = []
        for label, seeds in rows.items():
            split = sum(label in others for others in self.values.values()) > 1
            names.append(f"{label} seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" if split else label)
        return ", ".join([*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])])


def environment_differences(records: Sequence[TrialRecord]) -> list[EnvironmentDifference]:
    """The keys in which what may move bits is not the same for all of these records, in the order of `MOVES_BITS`.

    Args:
        records: the trials of one table that ran; a record without a key counts as "unknown" in it.
    """
    found = []
    for key in MOVES_BITS:
        values: dict[str, dict[str, tuple[int, ...]]] = {}
        for record in records:
            rows = values.setdefault(_value_of(key, record), {})
            rows[record.label] = (*rows.get(record.label, ()), record.seed)
        if len(values) > 1:
            found.append(EnvironmentDifference(key, values, _usual(values)))
    return found


def _value_of(key: str, record: TrialRecord) -> str:
    """The value that a trial was trained under, with that which it was judged under where it was another."""
    trained = record.environment.get(key) or UNKNOWN
    judged = record.environment.get(f"judged_{key}", trained)
    return trained if judged == trained else f"{trained}, judged under {judged}"


def _usual(values: Mapping[str, Mapping[str, tuple[int, ...]]]) -> str | None:
    """The value of more rows than any other has; None where two have as many."""
    most = max(map(len, values.values()))
    first, *others = [value for value, rows in values.items() if len(rows) == most]
    return None if others else first
