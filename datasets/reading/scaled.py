"""What the test sets of super-resolution share: pictures that come with their small versions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from bench.dataset import Picture, Split
from bench.errors import Unavailable
from bench.method import param
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry
from datasets.reading.pixels import read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaledSet(FileSource):
    """A test set as Huang, Singh and Ahuja (SelfExSR, CVPR 2015) publish it, small versions by MATLAB's bicubic included. Test only.

    A sibling says where it lies: its `folders` may hold {scale}.
    """

    origin: ClassVar[str] = "https://github.com/jbhuang0604/SelfExSR (data)"
    licence: ClassVar[str] = "research only"

    scale: Literal[2, 3, 4] = param(4, "which of the published factors")

    @override
    def find(self, root: Path | None) -> Path:
        return self._below(root, *(folder.format(scale=self.scale) for folder in self.folders))

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """Pairs (large, small) by number.

        Raises:
            Unavailable: there are none of that scale.
        """
        if split != "test":
            return []
        nested, end = folder / f"image_SRF_{self.scale}", f"_SRF_{self.scale}_HR"
        large = [path for path in image_files(nested if nested.is_dir() else folder) if path.stem.endswith(end)]
        if not large:
            raise Unavailable(f"no pictures *{end}.png in {folder}: get them from {self.origin}")
        return [Entry(path.stem.removesuffix(end), (path, path.with_stem(path.stem[:-2] + "LR"))) for path in large]

    @override
    def load(self, entry: Entry) -> Picture:
        target, small = (read_image(file) for file in entry.files)
        return Picture(name=entry.name, target=target, small=small)
