"""What data there are: one row for every source of pictures, for `runner.py data`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench import registry
from bench.errors import Unavailable, UsageError
from datasets._base import SPLITS, Source, Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A source: where it was found (None: nowhere) or why not and how to get it, and how many pictures each split has (None: unknown)."""

    name: str
    found: bool
    where: str  # the folder, "installed packages", or what is missing and where to get it
    layout: str
    licence: str
    counts: dict[Split, int] | None


def inventory(root: Path | None) -> list[Row]:
    """Look for every registered source below the data root. Pictures are counted, not read."""
    parts = {name: registry.find("dataset", name) for name in registry.names("dataset")}
    return [_row(name, part(), root) for name, part in parts.items() if isinstance(part, type) and issubclass(part, Source)]


def _row(name: str, source: Source, root: Path | None) -> Row:
    try:
        folder = source.find(root)
        counts = {split: source.count(root, split) for split in SPLITS}
        found, where = True, str(folder) if folder else "installed packages"
    except (Unavailable, UsageError) as error:
        found, where, counts = False, str(error), None
    return Row(name=name, found=found, where=where, layout=source.layout, licence=source.licence, counts=counts)
