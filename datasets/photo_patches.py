"""Small squares cut from the bundled photographs, split by photograph."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.photos import Photos
from datasets.reading.samples import SampleSet, SampleSource, sample_set


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoPatches(SampleSource):
    """Colour patches on a regular grid, of photographs that are first made smaller by averaging `shrink` x `shrink` pixels.

    Every photograph of a split gives as many as the smallest has, evenly spread.
    """

    origin: ClassVar[str] = Photos.origin
    licence: ClassVar[str] = Photos.licence
    layout: ClassVar[str] = Photos.layout

    size: int = param(32, "side of a patch, pixels")
    stride: int = param(16, "pixels from one patch to the next")
    shrink: int = param(2, "photographs are first made so many times smaller")

    def __post_init__(self) -> None:
        if min(self.stride, self.shrink) < 1 or not 1 <= self.size * self.shrink <= 256:
            raise ValueError("stride and shrink must be >= 1, size * shrink in 1..256")

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        """The patches of a split, photo by photo, row by row."""
        patches = [self._cut(picture.target) for picture in Photos(colour_only=True).open(root, split)]
        each = min(map(len, patches))
        return sample_set(np.concatenate([p[torch.arange(each) * len(p) // each].mul(255).round().byte().numpy() for p in patches]))

    def _cut(self, photo: torch.Tensor) -> torch.Tensor:
        small = F.avg_pool2d(photo[None], self.shrink)[0]
        windows = small.unfold(1, self.size, self.stride).unfold(2, self.size, self.stride)  # 3 x rows x columns x size x size
        return windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
