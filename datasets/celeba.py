"""CelebA: 202,599 faces, aligned. Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.folders import image_files
from datasets.reading.samples import ImageFiles, Listed

_LAST = {"train": 162_770, "validation": 182_637, "test": 202_599}  # the authors' partition: no person is in two splits


@dataclasses.dataclass(frozen=True, kw_only=True)
class CelebA(ImageFiles):
    """The aligned and cropped pictures (178 x 218), by default their central 108 x 108 as DCGAN's code takes it, in the authors' splits."""

    origin: ClassVar[str] = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (img_align_celeba.zip)"
    licence: ClassVar[str] = "non-commercial research"
    layout: ClassVar[str] = "celeba/img_align_celeba/000001.jpg .. 202599.jpg"
    folders: ClassVar[tuple[str, ...]] = ("celeba/img_align_celeba", "img_align_celeba", "CelebA/img_align_celeba")

    size: int = param(64, "pixels: the side after resizing")
    crop: int = param(108, "pixels: the side of the central square that is kept")

    @override
    def listed(self, folder: Path, split: Split) -> list[Listed]:
        last = _LAST[split]
        first = max((n for n in _LAST.values() if n < last), default=0)
        return [Listed(path) for path in image_files(folder) if path.stem.isdigit() and first < int(path.stem) <= last]
