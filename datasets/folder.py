"""Any folder of images."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from bench.errors import UsageError
from datasets._base import Entry, FileSource, Split, image_files, split_of
from datasets._own_folder import own_folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder(FileSource):
    """The images of a folder, all of them to test on, or split by a hash of their names: 80 % train, 10 % validation, 10 % test.

    A file keeps its split when others come or go. Where pictures of one folder are not independent (frames of a video, crops of a photograph),
    `unit=folder` makes each folder one unit and keeps it within one split.
    """

    origin: ClassVar[str] = "your own images"
    licence: ClassVar[str] = "that of your images"
    layout: ClassVar[str] = "any image files in folder[path=...], or in the data root"

    path: str | None = None  # None: the data root itself; else a folder, below the data root if it is there
    recursive: bool = True
    split: Literal["hash", "test"] = "hash"
    unit: Literal["picture", "folder"] = "picture"

    def find(self, root: Path | None) -> Path:
        """The folder of the images."""
        return own_folder("folder", self.path, root)

    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The images of a split, named by their path below the folder."""
        paths = image_files(folder, recursive=self.recursive)
        if not paths:
            raise UsageError(f"data set 'folder': no images in {folder}; known endings are png, jpg, jpeg, bmp, tif, tiff, webp, ppm and pgm")
        named = [(path.relative_to(folder).as_posix(), path) for path in paths]
        found = [Entry(name, (path,), self._unit(name)) for name, path in named]
        return [entry for entry in found if split == ("test" if self.split == "test" else split_of(entry.unit or entry.name))]

    def _unit(self, name: str) -> str:
        """The folder of a file, where that is asked for and it lies in one."""
        return name.rpartition("/")[0] if self.unit == "folder" else ""
