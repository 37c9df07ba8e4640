"""Any folder of images, as small squares of one size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.files import split_of
from datasets.reading.own_folder import BY_HASH, own_folder, own_images
from datasets.reading.samples import ImageFiles, Listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images(ImageFiles):
    """The images below a folder, split by a hash of their names: 80 % train, 10 % validation, 10 % test."""

    origin: ClassVar[str] = "your own images"
    licence: ClassVar[str] = "that of your images"
    layout: ClassVar[str] = "any image files in images[path=...], or in the data root"
    parted: ClassVar[str] = BY_HASH + ": add pictures"

    path: str | None = param(None, "folder, below the data root if it is there; None: the data root itself")

    @override
    def find(self, root: Path | None) -> Path:
        return own_folder("images", self.path, root)

    @override
    def listed(self, folder: Path, split: Split) -> list[Listed]:
        files, left_out = own_images("images", folder)
        listed = [Listed(path, left_out=left_out.get(path, "")) for path in [*files, *left_out]]
        return [item for item in listed if split_of(item.path.relative_to(folder).as_posix()) == split]
