"""Any folder of aligned pairs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.names import Entry
from datasets.reading.own_folder import own_folder
from datasets.reading.pairs import Pairs


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderPair(Pairs):
    """Pairs of your own, in either layout of pix2pix."""

    origin: ClassVar[str] = "your own images"
    licence: ClassVar[str] = "that of your images"
    layout: ClassVar[str] = "{train,val,test}/* with A left and B right, or {A,B}/{train,val,test}/* of the same names (val may be missing)"

    path: str | None = param(None, "folder, below the data root if it is there; None: the data root itself")

    @override
    def find(self, root: Path | None) -> Path:
        return own_folder("folder_pair", self.path, root)

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        found = super().entries(folder, split)
        if not found and not super().entries(folder, "test" if split == "train" else "train"):
            raise UsageError(f"data set 'folder_pair': no pairs in {folder}; expected {self.layout}")
        return found
