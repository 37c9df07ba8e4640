"""Benchmarks that are one flat folder of test pictures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlatSource(FileSource):
    """Every image of the folder is a test picture; training pictures lie in another folder below the data root where one is known and
    there.
    """

    training: ClassVar[tuple[str, ...]] = ()  # folders below the data root, best first

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        if split == "test":
            return [Entry(path.stem, (path,)) for path in image_files(folder)]
        if split == "validation":
            return []
        beside = [root / name for name in self.training for root in folder.parents[:2] if (root / name).is_dir()]
        return [Entry(path.stem, (path,)) for path in image_files(beside[0])] if beside else []
