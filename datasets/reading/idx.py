"""The IDX files of MNIST and its siblings."""

from __future__ import annotations

import dataclasses
import gzip
import math
import zlib
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from bench.dataset import Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.samples import SampleSet, SampleSource, sample_set, without_last_tenth

_MOST = 1 << 28  # bytes of one file: five times the largest there is


@dataclasses.dataclass(frozen=True, kw_only=True)
class IdxFiles(SampleSource):
    """60,000 gray pictures of 28 x 28 in ten classes, the last 6,000 of which validate, and 10,000 to test."""

    folders: ClassVar[tuple[str, ...]]
    names: ClassVar[tuple[str, ...]]
    layout: ClassVar[str] = "{train,t10k}-{images-idx3,labels-idx1}-ubyte, gzipped or not"

    size: Literal[28, 32] = param(32, "side of a picture, pixels: 28 as published, 32 with a border of two black ones")

    @override
    def find(self, root: Path | None) -> Path:
        return self._below(root, *self.folders)

    @override
    def count(self, root: Path | None, split: Split) -> int:
        labels = _read(self.find(root), f"{_part(split)}-labels-idx1-ubyte", 1)
        return len(labels[without_last_tenth(len(labels), split)])

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        folder = self.find(root)
        x, labels = _read(folder, f"{_part(split)}-images-idx3-ubyte", 3), _read(folder, f"{_part(split)}-labels-idx1-ubyte", 1)
        if len(x) != len(labels) or x.shape[1:] != (28, 28):
            raise UsageError(
                f"{folder}: {len(x)} {split} pictures of {x.shape[1:]} but {len(labels)} labels; get the files from {self.origin}",
            )
        rows = without_last_tenth(len(x), split)
        border = (self.size - 28) // 2
        x = np.pad(x[rows, None], ((0, 0), (0, 0), (border, border), (border, border)))
        return sample_set(x, labels[rows].astype(np.int64), self.names)


def _part(split: Split) -> str:
    return "t10k" if split == "test" else "train"


def _read(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of bytes: 0, 0, type 8, the number of dimensions, each of them as a big-endian 32-bit number, then the values."""
    path = folder / name if (folder / name).is_file() else folder / f"{name}.gz"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_MOST)  # a small file may unfold to any size
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {path}: {error}; replace it") from error
    shape = tuple(int(v) for v in np.frombuffer(data, ">u4", dimensions, 4)) if len(data) >= 4 + 4 * dimensions else ()
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) != 4 + 4 * dimensions + math.prod(shape):
        raise UsageError(f"{path} is no whole IDX file of bytes in {dimensions} dimensions; replace it")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
