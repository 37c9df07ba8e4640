"""Handwritten digits stuck onto photographs: a detection set with exact boxes, made from files inside the dependencies."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import override

from bench.dataset import SPLITS, Picture, PictureSet, Source, Split
from bench.method import param
from bench.operators.colour import BT601
from datasets.photos import Photos
from datasets.reading.files import bundled, hash_files

Array = NDArray[np.float32]

_RECIPE = 1  # to be raised by whatever changes a scene
_DIGITS: dict[Split, slice] = {
    "train": slice(0, 1200),
    "validation": slice(1200, 1300),
    "test": slice(1300, None),
}  # no writing is seen twice
_SIDES = (24, 44)  # pixels, both included
_COUNTS = (3, 6)
_CONTRAST = 0.3  # least difference of luminance to the photo below
_LUMA = np.array(BT601, np.float32)
_TRIES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitScenes(Source):
    """Scenes of three to six scikit-learn digits in random colours on crops of the bundled photos; no digit or photo is in two splits.

    Scene i of a split is a function of (seed, split, i) alone and is made when asked for. Boxes bound the pixels whose opacity is above one
    half. The group of a scene is its photo.
    """

    origin: ClassVar[str] = "made from the digits of scikit-learn and the bundled photos"
    licence: ClassVar[str] = Photos.licence
    layout: ClassVar[str] = "nothing: found in the installed packages"

    train: int = param(6000, "training scenes")
    validation: int = param(100, "validation scenes")
    test: int = param(300, "test scenes")
    size: int = param(128, "side of a scene, pixels")
    seed: int = param(0, "of the random numbers that make the pictures")

    def __post_init__(self) -> None:
        if min(self.train, self.validation, self.test) < 0 or not 96 <= self.size <= 300:
            raise ValueError(f"counts must be >= 0 and size in 96..300, not {self.train}, {self.validation}, {self.test} and {self.size}")

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return int(getattr(self, split))

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        names = [f"{split}_{i:05d}" for i in range(self.count(root, split))]
        return PictureSet(names, functools.partial(self._scene, split), self._fingerprint(split), classes=[str(d) for d in range(10)])

    def _scene(self, split: Split, index: int) -> Picture:
        rng = np.random.default_rng((self.seed, SPLITS.index(split), index))
        photos = _photos(split)
        group, photo = photos[rng.integers(len(photos))]
        image = _crop(photo, self.size, rng)
        boxes, labels = [], []
        for digit in _layout(*_digits(split), self.size, rng):
            height, width = digit.alpha.shape
            patch = image[digit.y : digit.y + height, digit.x : digit.x + width]
            patch += digit.alpha[..., None] * (_colour(patch, digit.alpha, rng) - patch)
            boxes.append(_box(digit))
            labels.append(digit.label)
        target = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        seen = {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor(labels)}
        return Picture(name=f"{split}_{index:05d}", target=target, group=group, **seen)

    def _fingerprint(self, split: Split) -> str:
        inputs = Photos().open(None, split).fingerprint, hash_files([_digits_file()])
        decides = (_RECIPE, self.size, self.seed, split, self.count(None, split), *inputs)
        return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]


class _Digit(NamedTuple):
    alpha: Array  # h x w, opacity
    y: int
    x: int
    label: int


@functools.lru_cache(maxsize=3)
def _photos(split: Split) -> list[tuple[str, Array]]:
    return [(picture.name, picture.target.permute(1, 2, 0).numpy()) for picture in Photos().open(None, split)]


def _digits_file() -> Path:
    return bundled("sklearn/datasets/data/digits.csv.gz")


@functools.cache
def _digits(split: Split) -> tuple[Array, NDArray[np.int64]]:
    """Digits n x 8 x 8, opacity [0, 1], and labels n."""
    table = np.loadtxt(_digits_file(), delimiter=",", dtype=np.float32)[_DIGITS[split]]
    ink = table[:, :64].reshape(-1, 8, 8)
    return ink / ink.max((1, 2), keepdims=True), table[:, 64].astype(np.int64)


def _crop(photo: Array, size: int, rng: np.random.Generator) -> Array:
    y, x = (int(rng.integers(side - size + 1)) for side in photo.shape[:2])
    return photo[y : y + size, x : x + size].copy()


def _layout(ink: Array, labels: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[_Digit]:
    """Digits that do not overlap; one that finds no place is left out, and a layout of fewer than three is drawn again."""
    placed: list[_Digit] = []
    while len(placed) < _COUNTS[0]:
        placed = []
        for side in rng.integers(_SIDES[0], _SIDES[1] + 1, rng.integers(_COUNTS[0], _COUNTS[1] + 1)):
            which = int(rng.integers(len(ink)))
            alpha = _enlarged(ink[which], int(side))
            corners = rng.integers(0, size - np.array(alpha.shape) + 1, (_TRIES, 2))
            free = np.ones(_TRIES, bool)
            for other in placed:
                low, high = np.array([other.y, other.x]), np.array([other.y, other.x]) + other.alpha.shape
                free &= ((corners + alpha.shape <= low) | (corners >= high)).any(1)
            if free.any():
                y, x = corners[free.argmax()]
                placed.append(_Digit(alpha, int(y), int(x), int(labels[which])))
    return placed


def _enlarged(ink: Array, side: int) -> Array:
    """The opacity of a digit whose 8 x 8 cell becomes `side` pixels wide, with its soft outline (hence the margin), cropped to what can be
    seen.
    """
    whole = round(side * 10 / 8)
    alpha = np.asarray(Image.fromarray(np.pad(ink, 1)).resize((whole, whole), Image.Resampling.BICUBIC)).clip(0, 1)
    rows, columns = (np.flatnonzero((alpha > 1 / 255).any(axis)) for axis in (1, 0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _colour(patch: Array, alpha: Array, rng: np.random.Generator) -> Array:
    """A random colour whose luminance differs by more than `_CONTRAST` from that of the photo below the digit."""
    below = float((patch @ _LUMA * alpha).sum() / alpha.sum())
    colours = np.concatenate(
        [rng.random((_TRIES, 3), dtype=np.float32), [[0, 0, 0], [1, 1, 1]]],
        dtype=np.float32,
    )  # black or white always differ
    chosen: Array = colours[np.abs(colours @ _LUMA - below) > _CONTRAST][0]
    return chosen


def _box(digit: _Digit) -> tuple[int, int, int, int]:
    solid = digit.alpha > 0.5
    rows, columns = (np.flatnonzero(solid.any(axis)) for axis in (1, 0))
    return digit.x + int(columns[0]), digit.y + int(rows[0]), digit.x + int(columns[-1]) + 1, digit.y + int(rows[-1]) + 1
