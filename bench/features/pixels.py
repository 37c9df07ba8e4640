"""The samples themselves: pixels of pictures, coordinates of points."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from bench.feature import Features, stored


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels(Features):
    """Every pixel (in [0, 1]) or coordinate is a feature."""

    def __call__(self, x: Tensor) -> Tensor:
        """N x CHW, or the points. See the base class."""
        return x.float() if x.ndim == 2 else stored(x).flatten(1)
