"""LSUN: scenes. Yu, Seff, Zhang, Song, Funkhouser, Xiao, 2015, arXiv:1506.03365."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.files import split_of
from datasets.reading.folders import image_files
from datasets.reading.own_folder import BY_HASH
from datasets.reading.samples import ImageFiles, Listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSUN(ImageFiles):
    """One category, exported from its LMDB to image files; the training set is split by a hash of names,
    as its test set has no use here.
    """

    origin: ClassVar[str] = "https://github.com/fyu/lsun (download.py, then data.py export)"
    licence: ClassVar[str] = "none stated by the authors: research"
    layout: ClassVar[str] = "lsun/<category>_train/ with image files, at any depth"
    parted: ClassVar[str] = BY_HASH + ": add pictures"
    folders: ClassVar[tuple[str, ...]] = ("lsun", "LSUN")

    category: str = param("bedroom", "whose pictures are read, such as bedroom or church_outdoor")
    size: int = param(64, "pixels: the side after resizing")

    @override
    def listed(self, folder: Path, split: Split) -> list[Listed]:
        place = folder / f"{self.category}_train"
        return [Listed(path) for path in image_files(place, recursive=True) if split_of(path.relative_to(place).as_posix()) == split]
