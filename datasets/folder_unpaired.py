"""Any two folders of pictures of two kinds, not aligned: CycleGAN's layout."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from bench.dataset import Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.files import FileSource
from datasets.reading.names import Entry
from datasets.reading.own_folder import own_folder
from datasets.reading.pairs import images_below, of_split


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderUnpaired(FileSource):
    """The pictures of one of two domains. A task that wants both opens the source twice.

    Where there is no folder of validation pictures, the last `held_out` of the training pictures serve.
    """

    origin: ClassVar[str] = "your own images"
    licence: ClassVar[str] = "that of your images"
    layout: ClassVar[str] = "{trainA,trainB,testA,testB}/*, and valA, valB where you have them (horse2zebra and its siblings)"

    path: str | None = param(None, "folder, below the data root if it is there; None: the data root itself")
    domain: Literal["A", "B"] = param("A", "which of the two is opened")
    held_out: float = param(0.1, "share of the training pictures that validates where there is no folder val")

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), not {self.held_out}")

    @override
    def find(self, root: Path | None) -> Path:
        return own_folder("folder_unpaired", self.path, root)

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        found = of_split(lambda part: images_below(folder, f"{part}{self.domain}"), split, self.held_out)
        if not found and not (folder / f"train{self.domain}").is_dir():
            raise UsageError(f"data set 'folder_unpaired': no pictures of domain {self.domain} in {folder}; expected {self.layout}")
        return found
