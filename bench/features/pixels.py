"""The samples themselves: pixels of pictures, coordinates of points."""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from bench.feature import Features, round_to_8_bits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels(Features):
    """Every pixel (in [0, 1]) or coordinate is a feature."""

    @override
    def __call__(self, x: Tensor) -> Tensor:
        """Return N x CHW of pictures, and points as they are."""
        return x.float() if x.ndim == 2 else round_to_8_bits(x).flatten(1)
