"""What data there are: one row for every source, for `runner.py data`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench import registry
from bench.dataset import SPLITS, DataSource, Split
from bench.errors import Unavailable, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A source: where it was found or why not and how to get it, and how many items each split has (None: unknown, or without end)."""

    name: str
    found: bool
    where: str  # the folder, what it is made of, or what is missing and where to get it
    layout: str
    licence: str
    counts: dict[Split, int | None] | None


def inventory(root: Path | None) -> list[Row]:
    """Look for every registered source below the data root. Items are counted, not read where that can be avoided."""
    parts = {name: registry.find("dataset", name) for name in registry.names("dataset")}
    return [_row(name, part(), root) for name, part in parts.items() if isinstance(part, type) and issubclass(part, DataSource)]


def _row(name: str, source: DataSource, root: Path | None) -> Row:
    try:
        folder = source.find(root)
        counts = {split: source.count(root, split) for split in SPLITS}
        found, where = True, str(folder) if folder else source.origin
    except (Unavailable, UsageError) as error:
        found, where, counts = False, str(error), None
    return Row(name=name, found=found, where=where, layout=source.layout, licence=source.licence, counts=counts)
