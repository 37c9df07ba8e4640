"""Pop-out displays on photographs: one item differs from all others, so it is known where people look.
Made from files inside the dependencies.

Treisman and Gelade, "A feature-integration theory of attention", Cognitive Psychology 1980: an odd colour, orientation, size or brightness
is found at once, however many items there are.
"""

from __future__ import annotations

import colorsys
import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from bench.dataset import SPLITS, PictureSet, Source, Split
from bench.method import param
from datasets.photos import Photos
from datasets.reading.saliency import Seen

Array = NDArray[np.float64]

_RECIPE = 1  # to be raised by whatever changes a scene
_CELL = 24  # pixels of the grid on which items stand
_JITTER = 3
_PRESENT = 0.75  # share of the cells with an item
_LEAST = 4  # items
_SHAPE = (8.0, 3.0)  # half axes of an item, pixels
_GROWN, _TURNED = 1.7, np.pi / 2  # the odd one, where it is odd in size or orientation
_FADED = 0.5  # contrast that is left of the photo
_LAPSE = 0.15  # share of fixations that fall around the centre instead
_CENTRE = 0.35  # of the sides: how far from the centre the odd item tends to be


@dataclasses.dataclass(frozen=True, kw_only=True)
class Popout(Source):
    """Ellipses of one kind on a faded crop of a bundled photo; one is odd in colour, orientation, size or brightness.
    No photo is in two splits.

    `mask` is the odd item; `target` a Gaussian there (85 %) and a wide one in the centre (15 %); `fixations` are drawn from it.
    Scene i of a split is a function of (seed, split, i) alone and is made when asked for. The group of a scene is its photo.
    """

    origin: ClassVar[str] = "made from the bundled photos"
    licence: ClassVar[str] = Photos.licence
    layout: ClassVar[str] = "nothing: found in the installed packages"

    train: int = param(1000, "training scenes")
    validation: int = param(60, "validation scenes")
    test: int = param(200, "test scenes")
    height: int = param(96, "of a scene, pixels")
    width: int = param(128, "of a scene, pixels")
    looks: int = param(20, "fixations a scene")
    seed: int = param(0, "of the random numbers that make the pictures")

    def __post_init__(self) -> None:
        if min(self.train, self.validation, self.test) < 0 or not (72 <= self.height <= 300 and 72 <= self.width <= 300) or self.looks < 1:
            raise ValueError("counts must be >= 0, height and width in 72..300, looks >= 1")

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return int(getattr(self, split))

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The scenes of a split, each a `Seen`."""
        names = [f"{split}_{i:05d}" for i in range(self.count(root, split))]
        return PictureSet(names, functools.partial(self._scene, split), self._fingerprint(split))

    def _scene(self, split: Split, index: int) -> Seen:
        rng = np.random.default_rng((self.seed, SPLITS.index(split), index))
        photos = _photos(split)
        group, photo = photos[rng.integers(len(photos))]
        image = _backdrop(photo, self.height, self.width, rng)
        places = _places(self.height, self.width, rng)
        common, strange = _kinds(rng)
        odd = _choose(places, self.height, self.width, rng)
        mask = np.zeros((self.height, self.width))
        for i, (y, x) in enumerate(places):
            item = strange if i == odd else common
            alpha = _ellipse(item, y, x, self.height, self.width)
            image += alpha[..., None] * (item.colour - image)
            mask = alpha if i == odd else mask
        density = _density(places[odd], self.height, self.width)
        looked = rng.choice(density.size, self.looks, replace=False, p=density.ravel() / density.sum())
        fixations = np.bincount(looked, minlength=density.size).reshape(density.shape)
        maps = (torch.from_numpy(m.astype(np.float32))[None] for m in (density / density.max(), fixations, mask > 0.5))
        seen = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))
        return Seen(name=f"{split}_{index:05d}", observed=seen, group=group, **dict(zip(("target", "fixations", "mask"), maps)))

    def _fingerprint(self, split: Split) -> str:
        options = self.height, self.width, self.looks, self.seed, split, self.count(None, split)
        return hashlib.sha256(repr((_RECIPE, *options, Photos().open(None, split).fingerprint)).encode()).hexdigest()[:16]


class _Item(NamedTuple):
    colour: Array  # RGB
    angle: float
    scale: float


@functools.lru_cache(maxsize=3)
def _photos(split: Split) -> list[tuple[str, Array]]:
    return [(picture.name, picture.target.permute(1, 2, 0).numpy().astype(np.float64)) for picture in Photos().open(None, split)]


def _backdrop(photo: Array, height: int, width: int, rng: np.random.Generator) -> Array:
    """A crop with its contrast reduced, height x width x 3."""
    y, x = int(rng.integers(photo.shape[0] - height + 1)), int(rng.integers(photo.shape[1] - width + 1))
    crop = photo[y : y + height, x : x + width]
    mean: Array = crop.mean((0, 1))
    return mean + _FADED * (crop - mean)


def _places(height: int, width: int, rng: np.random.Generator) -> Array:
    """Centres of the items, n x 2, on a jittered grid of which some cells stay empty."""
    rows, columns = height // _CELL, width // _CELL
    grid = np.stack(np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, indexing="ij"), -1).reshape(-1, 2)
    kept = rng.permutation(len(grid))[: max(_LEAST, rng.binomial(len(grid), _PRESENT))]
    return grid[kept] * (height / rows, width / columns) + rng.uniform(-_JITTER, _JITTER, (len(kept), 2))


def _kinds(rng: np.random.Generator) -> tuple[_Item, _Item]:
    """What all items look like, and the odd one: the same but for one feature."""
    hue, value, angle = rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0, np.pi)
    common = _Item(_rgb(hue, value), angle, 1.0)
    match rng.integers(4):
        case 0:
            strange = common._replace(colour=_rgb(hue + rng.uniform(1 / 3, 2 / 3), value))
        case 1:
            strange = common._replace(angle=angle + _TURNED)
        case 2:
            strange = common._replace(scale=_GROWN)
        case _:
            strange = common._replace(colour=_rgb(hue, value - 0.5 if value > 0.6 else value + 0.5))
    return common, strange


def _rgb(hue: float, value: float) -> Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1, 0.8, np.clip(value, 0, 1)))


def _choose(places: Array, height: int, width: int, rng: np.random.Generator) -> int:
    """Which item is odd: any, those near the centre more often, as photographers have it."""
    distance = places / (height, width) - 0.5
    weight = np.exp(-(distance**2).sum(1) / (2 * _CENTRE**2))
    return int(rng.choice(len(places), p=weight / weight.sum()))


def _ellipse(item: _Item, y: float, x: float, height: int, width: int) -> Array:
    """Opacity, height x width, with an edge one pixel wide."""
    a, b = (item.scale * half for half in _SHAPE)
    dy, dx = np.arange(height)[:, None] + 0.5 - y, np.arange(width)[None] + 0.5 - x
    along, across = dx * np.cos(item.angle) + dy * np.sin(item.angle), dy * np.cos(item.angle) - dx * np.sin(item.angle)
    inside: Array = (1 - np.hypot(along / a, across / b)) * b + 0.5
    return inside.clip(0, 1)


def _density(target: Array, height: int, width: int) -> Array:
    """The density of fixations, height x width, sum 1."""

    def blob(centre: Array, spread: Array) -> Array:
        y, x = ((np.arange(n) + 0.5 - c) / s for n, c, s in zip((height, width), centre, spread))
        bump = np.exp(-(y[:, None] ** 2 + x[None] ** 2) / 2)
        share: Array = bump / bump.sum()
        return share

    sides = np.array([height, width], float)
    shares: Array = (1 - _LAPSE) * blob(target, np.full(2, height / 12)) + _LAPSE * blob(sides / 2, sides / 4)
    return shares
