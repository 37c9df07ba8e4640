"""Any folder of images."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.files import FileSource, split_of
from datasets.reading.names import Entry
from datasets.reading.own_folder import BY_HASH, OR_TEST, own_folder, own_images


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder(FileSource):
    """The images of a folder, all of them to test on, or split by a hash of their names: 80 % train, 10 % validation, 10 % test.

    A file keeps its split when others come or go. Where pictures of one folder are not independent (frames of a video, crops of a
    photograph), `group=folder` makes each folder one group and keeps it within one split. Links are followed: a file or folder that
    can be reached twice counts once.
    """

    origin: ClassVar[str] = "your own images"
    licence: ClassVar[str] = "that of your images"
    layout: ClassVar[str] = "any image files in folder[path=...], or in the data root"
    parted: ClassVar[str] = BY_HASH + OR_TEST

    path: str | None = param(None, "folder, below the data root if it is there; None: the data root itself")
    recursive: bool = param(True, "read the folders below it, too")
    split: Literal["hash", "test"] = param("hash", "hash: 80 % train, 10 % validation, 10 % test by a hash of the name; test: all of it")
    group: Literal["picture", "folder"] = param("picture", "what is independent of each other: pictures, or the folders that they lie in")

    @override
    def find(self, root: Path | None) -> Path:
        return own_folder("folder", self.path, root)

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The images of a split, named by their path below the folder."""
        files, left_out = own_images("folder", folder, recursive=self.recursive)
        named = [(path.relative_to(folder).as_posix(), path) for path in [*files, *left_out]]
        found = [Entry(name, (path,), self._unit(name), left_out.get(path, "")) for name, path in named]
        return [entry for entry in found if split == ("test" if self.split == "test" else split_of(entry.group or entry.name))]

    def _unit(self, name: str) -> str:
        """The folder of a file, where that is asked for and it lies in one."""
        return name.rpartition("/")[0] if self.group == "folder" else ""
