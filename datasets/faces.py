"""A hundred faces that ship inside scikit-image: a subset of Labeled Faces in the Wild (Huang, Ramesh, Berg, Learned-Miller, 2007)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.files import bundled
from datasets.reading.samples import SampleSet, SampleSource, resized, sample_set

_ROWS: dict[Split, slice] = {
    "train": slice(0, 70),
    "validation": slice(70, 80),
    "test": slice(80, 100),
}  # the file's second hundred are no faces


@dataclasses.dataclass(frozen=True, kw_only=True)
class Faces(SampleSource):
    """Gray faces, 25 x 25 in the file, enlarged by PIL's bicubic filter: 70 to train, 10 to validate, 20 to test."""

    origin: ClassVar[str] = "the wheel of scikit-image"
    licence: ClassVar[str] = "that of Labeled Faces in the Wild: research"
    layout: ClassVar[str] = "nothing: found in the installed packages"

    size: int = param(32, "side of a picture, pixels")

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size must be >= 8, not {self.size}")

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return int(_ROWS[split].stop - _ROWS[split].start)

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        faces = np.load(bundled("skimage/data/lfw_subset.npy"), allow_pickle=False)[_ROWS[split], None]
        return sample_set(resized((faces * 255).round().astype(np.uint8), self.size))
