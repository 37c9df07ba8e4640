"""Any folder of images, as small squares of one size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from bench.errors import Unavailable, UsageError
from datasets._base import Split, image_files, split_of
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
        if self.path is None and root is None:
            raise Unavailable("data set 'images': no folder given; write images[path=...], or give --data-root or GANBENCH_DATA")
        given = Path(self.path or "").expanduser()
        folder = root / given if root is not None and (root / given).is_dir() else given
        if not folder.is_dir():
            raise UsageError(f"data set 'images': {folder} is not a folder")
        return folder

    def listed(self, folder: Path, split: Split) -> list[Listed]:
        """The images of a split."""
        return [Listed(path) for path in image_files(folder, recursive=True) if split_of(path.relative_to(folder).as_posix()) == split]
