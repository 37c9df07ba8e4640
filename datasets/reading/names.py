"""Names are the identities of the pictures of a set: one name, one picture, one truth."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import UsageError
from bench.text import one_line


class Entry(NamedTuple):
    """A picture that has not been read: its name, its image files (a pair has two), its group (see `Picture`);
    where it is not to be read, why.
    """

    name: str
    files: tuple[Path, ...]
    group: str = ""
    left_out: str = ""


def distinct(entries: Sequence[Entry]) -> list[Entry]:
    """The entries under names that can be shown, each of them once: where two have the same, they keep the endings of their first files.

    Raises:
        UsageError: two pictures share a name and a file (one truth for both), or only the way of writing tells
            their names apart (both are named).
    """
    names = [one_line(entry.name) for entry in entries]
    while shared := {name for name, count in Counter(names).items() if count > 1}:
        groups = {name: [entry for entry, its in zip(entries, names, strict=True) if its == name] for name in sorted(shared)}
        for name, group in groups.items():
            _refuse_shared_files(name, group)
        longer = [_longer(entry) if name in shared else name for entry, name in zip(entries, names, strict=True)]
        if longer == names:
            one, other, *_ = (entry.files[0] for entry in groups[min(shared)])
            raise UsageError(one_line(f"{one} and {other} would both be called {min(shared)}: rename one of them"))
        names = longer
    return [entry._replace(name=name, group=one_line(entry.group)) for entry, name in zip(entries, names, strict=True)]


def by_stem(paths: Iterable[Path], wanted: Collection[str] | None = None) -> dict[str, Path]:
    """Stem -> file, of the wanted ones.

    Raises:
        UsageError: two files have one wanted stem (both are named).
    """
    found: dict[str, Path] = {}
    for path in paths:
        if wanted is None or path.stem in wanted:
            refuse_second(found, path.stem, path)
            found[path.stem] = path
    return found


def refuse_second(found: Mapping[Any, Path], key: object, path: Path) -> None:
    """Raise UsageError where another file has the key already; both are named."""
    if key in found:
        raise UsageError(one_line(f"{found[key]} and {path} stand for the same picture: keep one of them"))


def _refuse_shared_files(name: str, group: Sequence[Entry]) -> None:
    for one, other in itertools.combinations(group, 2):
        if common := [file for file in one.files if file in other.files]:
            first, second = (next((file for file in entry.files if file not in common), common[0]) for entry in (one, other))
            raise UsageError(one_line(f"{first} and {second} are both {name} to {common[0]}: keep one of them"))


def _longer(entry: Entry) -> str:
    """The name with the ending of the file, unless it has that."""
    file = entry.files[0]
    return one_line(entry.name if entry.name.rpartition("/")[2] == file.name else entry.name + file.suffix)
