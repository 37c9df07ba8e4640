"""Small pictures of one size, held in memory whole: what generative models are trained on and compared with."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from typing_extensions import override

from bench.dataset import DataSource, Split
from bench.errors import UsageError
from bench.method import Samples, param
from bench.operators.transfer import send
from bench.text import one_line
from datasets.reading.files import hash_files
from datasets.reading.pixels import decode


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The pictures of one split.

    Attributes:
        x: N x C x H x W, uint8.
        labels: N, int64, where there are any; `classes` names them.
        groups: of each picture the person or thing it shows, where several show the same (see
        `bench.dataset.Picture`); none: all stand alone.
        fingerprint: sixteen hex digits over the content.
        skipped: the pictures that were left out, and why.
    """

    x: Tensor
    fingerprint: str
    labels: Tensor | None = None
    classes: Sequence[str] = ()
    groups: Sequence[str] = ()
    skipped: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> SampleSet:
        """The set on another device."""
        return dataclasses.replace(self, x=self.x.to(device), labels=None if self.labels is None else self.labels.to(device))

    def pick(self, index: Tensor) -> Samples:
        """The samples at `index` (n, int64), float32 in [0, 1]."""
        index = send(index, self.x.device)
        return Samples(self.x[index].float() / 255, None if self.labels is None else self.labels[index])

    def draw(self, n: int, rng: torch.Generator) -> Samples:
        """N samples at random, with replacement: a function of `rng` alone."""
        return self.pick(torch.randint(len(self), (n,), generator=rng))

    def spread(self, n: int) -> Samples:
        """N different samples, evenly spaced over the set (all of them in order where it has no more)."""
        n = min(n, len(self))
        return self.pick(torch.arange(n) * len(self) // max(n, 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleSource(DataSource):
    """A data set of small pictures."""

    def open(self, root: Path | None, split: Split) -> SampleSet:
        """The pictures of a split.

        Raises:
            Unavailable: the set was not found.
            UsageError: a file is corrupt (named).
        """
        raise NotImplementedError

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return len(self.open(root, split))


class Listed(NamedTuple):
    """A picture that has not been read: its file, the number of its class, its group and, where it is not to be read, why."""

    path: Path
    label: int = 0
    group: str = ""
    left_out: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFiles(SampleSource):
    """A source of image files, made squares of one size. A subclass lists them."""

    folders: ClassVar[tuple[str, ...]] = ()  # where it may lie below the data root, best first

    size: int = param(32, "pixels: the side after resizing")
    crop: int = param(0, "pixels: the side of the central square that is kept; 0: the shorter side of each picture")
    gray: bool = param(False, "one channel in place of three")
    limit: int = param(50_000, "pictures of a split at most: the first")

    def __post_init__(self) -> None:
        if self.size < 1 or self.limit < 1 or self.crop < 0:
            raise ValueError("size and limit must be >= 1, crop >= 0")

    def listed(self, folder: Path, split: Split) -> list[Listed]:
        """The pictures of a split, in a fixed order; nothing is read."""
        raise NotImplementedError

    def classes(self, folder: Path) -> list[str]:
        """The names of the classes; none by default."""
        return []

    @override
    def find(self, root: Path | None) -> Path:
        return self._below(root, *self.folders)

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return min(self.limit, sum(not item.left_out for item in self.listed(self.find(root), split)))

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        """The pictures of a split, cut to a central square and resized by PIL's bicubic filter."""
        folder = self.find(root)
        listed = self.listed(folder, split)
        skipped = [one_line(f"{item.path} {item.left_out}") for item in listed if item.left_out]
        files = [item for item in listed if not item.left_out]
        if not files:
            why = self.parted or f"expected {self.layout}"
            raise UsageError(f"data set {type(self).__name__}: no {split} pictures in {folder}; {why}")
        if len(files) > self.limit:
            skipped.append(f"{len(files) - self.limit} {split} pictures are left out: limit={self.limit}")
            files = files[: self.limit]
        x = torch.from_numpy(np.stack([_square(file.path, self.size, self.crop, self.gray) for file in files]))
        classes = self.classes(folder)
        key = hashlib.sha256(f"{hash_files([f.path for f in files])} {self}".encode()).hexdigest()[:16]
        labels, groups = (
            torch.tensor([f.label for f in files]) if classes else None,
            [f.group for f in files] if any(f.group for f in files) else (),
        )
        return SampleSet(x=x, fingerprint=key, labels=labels, classes=classes, groups=groups, skipped=skipped)


def fingerprint(*arrays: NDArray[np.generic]) -> str:
    """Sixteen hex digits over shapes, types and contents."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def sample_set(x: NDArray[np.uint8], labels: NDArray[np.int64] | None = None, classes: Sequence[str] = ()) -> SampleSet:
    """A set from arrays: pictures N x C x H x W and labels N."""
    key = fingerprint(x, *([] if labels is None else [labels]))
    return SampleSet(x=torch.from_numpy(x), fingerprint=key, labels=None if labels is None else torch.from_numpy(labels), classes=classes)


def without_last_tenth(n: int, split: Split) -> slice:
    """Where the authors publish a training and a test set of which n are to train on: the last tenth of those validates."""
    return {"train": slice(0, n - n // 10), "validation": slice(n - n // 10, n), "test": slice(None)}[split]


def resized(x: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Gray pictures N x 1 x H x W at another size, by PIL's bicubic filter."""
    return np.stack([np.asarray(Image.fromarray(one[0]).resize((size, size), Image.Resampling.BICUBIC))[None] for one in x])


def _square(path: Path, size: int, crop: int, gray: bool) -> NDArray[np.uint8]:
    image, _ = found = decode(path)
    deep = found.gray  # Pillow would clip it at 255
    picture = (image if deep is None else Image.fromarray((deep * 255).round().astype(np.uint8))).convert("L" if gray else "RGB")
    side = crop or min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    if min(left, top) < 0:
        raise UsageError(f"the picture {path} is {picture.width} x {picture.height}: smaller than crop={crop}")
    square = picture.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    array = np.asarray(square)
    return array[None].copy() if gray else np.ascontiguousarray(array.transpose(2, 0, 1))
