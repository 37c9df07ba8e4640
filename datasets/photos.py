"""Ten colour photographs that ship inside the dependencies, split by photo: no download, no data root."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from datasets._base import Picture, PictureSet, Source, Split, bundled, hash_files
from datasets._pixels import read_image

_FILES: dict[Split, tuple[str, ...]] = {
    "train": (
        "skimage/data/astronaut.png", "skimage/data/motorcycle_left.png", "skimage/data/rocket.jpg", "sklearn/datasets/images/china.jpg",
        "ultralytics/assets/bus.jpg", "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    ),
    "validation": ("skimage/data/chelsea.png",),
    "test": ("skimage/data/coffee.png", "sklearn/datasets/images/flower.jpg", "ultralytics/assets/zidane.jpg"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photos(Source):
    """Photos of scikit-image, scikit-learn, ultralytics and matplotlib: six to train on, one to validate, three to test."""

    origin: ClassVar[str] = "the wheels of scikit-image, scikit-learn, ultralytics and matplotlib"
    licence: ClassVar[str] = "those of the four packages (BSD-3, BSD-3, AGPL-3.0, PSF-like); most photos are public domain or CC"
    layout: ClassVar[str] = "nothing: found in the installed packages"

    def count(self, root: Path | None, split: Split) -> int:
        """How many photos a split has."""
        return len(_FILES[split])

    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The photos of a split. Packages are located, not imported."""
        paths = [bundled(file) for file in _FILES[split]]
        return PictureSet([p.stem for p in paths], lambda i: Picture(name=paths[i].stem, sharp=read_image(paths[i])), hash_files(paths))
