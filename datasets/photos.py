"""Nineteen photographs that ship inside the dependencies, split by photo: no download, no data root."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Picture, PictureSet, Source, Split
from bench.method import param
from datasets.reading.files import bundled, hash_files
from datasets.reading.pixels import read_image

_COLOUR: dict[Split, tuple[str, ...]] = {
    "train": (
        "skimage/data/astronaut.png", "skimage/data/motorcycle_left.png", "skimage/data/rocket.jpg", "sklearn/datasets/images/china.jpg",
        "ultralytics/assets/bus.jpg", "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    ),
    "validation": ("skimage/data/chelsea.png",),
    "test": (
        "skimage/data/coffee.png", "sklearn/datasets/images/flower.jpg", "ultralytics/assets/zidane.jpg",
        "skimage/data/hubble_deep_field.jpg", "skimage/data/ihc.png", "skimage/data/retina.jpg",
    ),
}  # fmt: skip
_GRAY: dict[Split, tuple[str, ...]] = {
    "train": (),
    "validation": ("skimage/data/moon.png",),
    "test": tuple(f"skimage/data/{name}.png" for name in ("brick", "camera", "coins", "grass", "gravel")),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photos(Source):
    """Photos of scikit-image, scikit-learn, ultralytics and matplotlib, each at least 300 pixels high and wide: six to train on,
    two to validate, eleven to test.

    One of the two to validate and five of those to test are gray: their three channels are equal. That is fair where a picture is to be
    made sharp, clean or large, which is no easier without colour to a method that expects some, and not where its colour is asked for.
    Three are no everyday photographs: galaxies, stained tissue and a retina. Other pictures of scikit-image are left out because they are
    small or blurred (page, text, clock_motion), nearly empty (cell), drawn (horse, color, logo) or show a scene twice (motorcycle_right).
    """

    origin: ClassVar[str] = "the wheels of scikit-image, scikit-learn, ultralytics and matplotlib"
    licence: ClassVar[str] = "those of the four packages (BSD-3, BSD-3, AGPL-3.0, PSF-like); most photos are public domain or CC"
    layout: ClassVar[str] = "nothing: found in the installed packages"

    colour_only: bool = param(False, "leave out the gray photographs")

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return len(self._files(split))

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The photos of a split. Packages are located, not imported."""
        paths = [bundled(file) for file in self._files(split)]
        return PictureSet([p.stem for p in paths], lambda i: Picture(name=paths[i].stem, target=read_image(paths[i])), hash_files(paths))

    def _files(self, split: Split) -> tuple[str, ...]:
        return _COLOUR[split] + (() if self.colour_only else _GRAY[split])
