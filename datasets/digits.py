"""1,797 handwritten digits that ship inside scikit-learn (Alpaydin and Kaynak, UCI "Optical Recognition of Handwritten Digits", its test
set).
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.files import bundled
from datasets.reading.samples import SampleSet, SampleSource, resized, sample_set

_ROWS: dict[Split, slice] = {
    "train": slice(0, 1000),
    "validation": slice(1000, 1300),
    "test": slice(1300, None),
}  # in the file's order, by writer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits(SampleSource):
    """Gray digits, 8 x 8 in the file, enlarged by PIL's bicubic filter: 1000 to train, 300 to validate, 497 to test."""

    origin: ClassVar[str] = "the wheel of scikit-learn"
    licence: ClassVar[str] = "CC BY 4.0 (UCI)"
    layout: ClassVar[str] = "nothing: found in the installed packages"

    size: int = param(16, "side of a picture, pixels")

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size must be >= 8, not {self.size}")

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return len(_table()[_ROWS[split]])

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        table = _table()[_ROWS[split]]
        ink = (table[:, :64].reshape(-1, 1, 8, 8) * (255 / 16)).round().astype(np.uint8)
        return sample_set(resized(ink, self.size) if self.size != 8 else ink, table[:, 64].astype(np.int64), [str(d) for d in range(10)])


@functools.cache
def _table() -> NDArray[np.float32]:
    """1797 x 65: the 64 pixels (0..16) and the label."""
    return np.loadtxt(bundled("sklearn/datasets/data/digits.csv.gz"), delimiter=",", dtype=np.float32)
