"""What records say beside their numbers, as a reader of the table must know it: what could not be computed or read, what happened to a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.store.record import TrialRecord

MARKS = ("on_oom", "capped", "restarted", "at_once")  # tags that concern the numbers of one row
_QUIET = ("oracle", "checkpoints", *MARKS)  # what stands at the row already, or concerns no number
_NAMED = 2  # rows; of the others their number
_NAMES = {"skipped_files": "files left out"}


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
    return ": ".join(filter(None, [of, what, _without_home(text)]))


def _without_home(text: str) -> str:
    """Paths below the user's home as a shell takes them: pages are shown to others."""
    home = str(Path.home())
    return text.replace(f"{home}/", "~/") if len(home) > 1 else text
