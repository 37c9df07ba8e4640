"""Random phantoms of ellipses with the contrasts of a chest or belly: made up, so they need no data and their line integrals are known.

After the phantom of Shepp and Logan, "The Fourier reconstruction of a head section", IEEE TNS 21(3), 1974.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import SPLITS, Picture, PictureSet, Source, Split
from bench.method import param
from bench.operators import ct
from bench.task import mix

_AIR = -1000.0  # HU
# What may lie in a body: how many (up to), centre within, half axes from and to (shares of the body's), HU from and to
_ORGANS = (
    (2, 0.55, 0.18, 0.40, -850.0, -650.0),  # lungs
    (6, 0.60, 0.08, 0.30, -20.0, 120.0),  # organs, vessels with contrast medium
    (3, 0.65, 0.04, 0.10, 300.0, 1200.0),  # bones
    (8, 0.70, 0.02, 0.08, -80.0, 160.0),  # lesions, fat
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ellipses(Source):
    """Bodies of fat and soft tissue that hold lungs, organs, bones and lesions, each drawn over those before; 1 x size x size."""

    origin: ClassVar[str] = "made up (Shepp and Logan's kind of phantom)"
    licence: ClassVar[str] = "free"
    layout: ClassVar[str] = "nothing: computed"

    size: int = param(128, "side of a slice, pixels")
    train: int = param(256, "training phantoms")
    validation: int = param(8, "validation phantoms")
    test: int = param(16, "test phantoms")

    def __post_init__(self) -> None:
        if self.size < 16 or min(self.train, self.validation, self.test) < 1:
            raise ValueError("size must be >= 16, and every split must have a phantom")

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return int(getattr(self, split))

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The phantoms of a split; the same for every run."""
        names = [f"{split}_{i:04d}" for i in range(self.count(root, split))]
        stamp = hashlib.sha256(repr((_ORGANS, self.size, len(names), self.rows(split, 0).tolist())).encode()).hexdigest()[:16]
        return PictureSet(names, lambda i: Picture(name=names[i], target=self._drawn(split, i)), stamp)

    def rows(self, split: Split, index: int) -> Tensor:
        """The ellipses of a phantom, first drawn first: n x 6, float64: column and row of the centre, half axes (all in shares of half the
        side), turn in radians, HU.
        """
        rng = torch.Generator().manual_seed(mix(SPLITS.index(split), index))

        def uniform(low: float, high: float, n: int = 1) -> Tensor:
            return low + (high - low) * torch.rand(n, generator=rng, dtype=torch.float64)

        a, b, turn = uniform(0.70, 0.92), uniform(0.52, 0.70), uniform(-0.2, 0.2)
        skin, zero = uniform(0.86, 0.94), torch.zeros(1, dtype=torch.float64)
        rows = [
            torch.stack([zero, zero, a, b, turn, uniform(-120, -80)], 1),
            torch.stack([zero, zero, a * skin, b * skin, turn, uniform(30, 60)], 1),
        ]
        for most, reach, least, largest, low, high in _ORGANS:
            n = 1 + int(uniform(0, most))
            radius, angle = reach * uniform(0, 1, n).sqrt(), uniform(0, 2 * math.pi, n)
            x, y = a * skin * radius * angle.cos(), b * skin * radius * angle.sin()
            axes = torch.stack([uniform(least, largest, n), uniform(least, largest, n)], 1) * b * skin
            rows.append(torch.stack([x, y, axes[:, 0], axes[:, 1], uniform(0, math.pi, n), uniform(low, high, n)], 1))
        return torch.cat(rows)

    def _drawn(self, split: Split, index: int) -> Tensor:
        return _draw(self.rows(split, index), self.size)


@functools.lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Tensor, Tensor]:
    offset = (torch.arange(size, dtype=torch.float64) - size // 2) * (2 / size)
    return offset[None, :], offset[:, None]


def _draw(rows: Tensor, size: int) -> Tensor:
    """Paint ellipses over air: 1 x size x size on [0, 1]. Edges are a pixel wide, by the distance to first order."""
    x, y = _grid(size)
    hu = torch.full((size, size), _AIR, dtype=torch.float64)
    for cx, cy, a, b, turn, value in rows:
        u = ((x - cx) * turn.cos() + (y - cy) * turn.sin()) / a
        v = ((y - cy) * turn.cos() - (x - cx) * turn.sin()) / b
        r = (u * u + v * v).sqrt()
        slope = ((u / a).square() + (v / b).square()).sqrt() / r.clamp_min(1e-9)  # |grad r|
        cover = (0.5 + (1 - r) / slope.clamp_min(1e-9) * (size / 2)).clamp(0, 1)
        hu += cover * (value - hu)
    return ct.from_hu(hu).float()[None]
