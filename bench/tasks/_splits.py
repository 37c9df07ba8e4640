"""Opening the splits of data sets: what one has, why it has nothing, what was left out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.dataset import SPLITS, PictureSet, Source, Split
from bench.errors import UsageError
from bench.spec import Spec, parse
from bench.text import one_line

_NAMED = 5  # files that a note names


@functools.lru_cache(maxsize=64)
def open_split(spec: str, root: Path | None, split: Split, on_corrupt: str) -> PictureSet:
    """The pictures of a split of the data set `spec`, opened once for the tasks of a process. Raises like `bench.dataset.Source.open`."""
    return _source(spec, on_corrupt).open(root, split)


def open_or_instead(spec: str, instead: str, root: Path | None, split: Split, on_corrupt: str) -> PictureSet:
    """The same; where that is empty and for training or validation, the split of the data set `instead`, and what was left out of both."""
    found = open_split(spec, root, split, on_corrupt)
    if len(found) or split == "test":
        return found
    other = open_split(instead, root, split, on_corrupt)
    return PictureSet(other.names, other.__getitem__, other.fingerprint, [*found.skipped, *other.skipped], other.classes)


def refuse_empty(found: PictureSet, spec: str, root: Path | None, split: Split, on_corrupt: str) -> PictureSet:
    """The pictures, of which there is one at least.

    Raises:
        UsageError: there are none; it says how many the other splits have, why this one has none, and what to do.
    """
    if len(found):
        return found
    source = _source(spec, on_corrupt)
    counts = ", ".join(f"{name} {source.count(root, name)}" for name in SPLITS)
    lost = f"{len(found.skipped)} left out, first: {found.skipped[0]}; " if found.skipped else ""
    why = f"{lost}{source.parted or f'expected {source.layout}'}"
    raise UsageError(one_line(f"the {split} split of {spec} is empty (listed: {counts}): {why}"))


def skipped_note(skipped: Sequence[str]) -> dict[str, str]:
    """The note `skipped_files`: how many files were left out, and the first of them with their reasons; empty where there are none."""
    lines = list(dict.fromkeys(skipped))
    return {"skipped_files": f"{len(lines)}: {'; '.join(lines[:_NAMED])}"} if lines else {}


def _source(spec: str, on_corrupt: str) -> Source:
    parsed = parse(spec)
    source = registry.make("dataset", Spec(parsed.name, {"on_corrupt": on_corrupt, **parsed.options}))
    if not isinstance(source, Source):
        raise UsageError(f"{spec} is no datasets.Source")
    return source
