"""Any folder of images, as small squares of one size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from datasets._base import Split, image_files, split_of
from datasets._own_folder import own_folder
from datasets._samples import ImageFiles, Listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images(ImageFiles):
    """The images below a folder, split by a hash of their names: 80 % train, 10 % validation, 10 % test."""

    origin: ClassVar[str] = "your own images"
    licence: ClassVar[str] = "that of your images"
    layout: ClassVar[str] = "any image files in images[path=...], or in the data root"

    path: str | None = None  # None: the data root itself; else a folder, below the data root if it is there

    def find(self, root: Path | None) -> Path:
        """The folder of the images."""
        return own_folder("images", self.path, root)

    def listed(self, folder: Path, split: Split) -> list[Listed]:
        """The images of a split."""
        return [Listed(path) for path in image_files(folder, recursive=True) if split_of(path.relative_to(folder).as_posix()) == split]
