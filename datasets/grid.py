"""Gaussians on a square grid. Srivastava et al., "VEEGAN", NIPS 2017: 25 of them at {-4, -2, 0, 2, 4}^2, std .05.

Another: spacing .70721, std .01768 (the toy of the WGAN-GP code, divided by 2.828).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.points import EqualMixture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid(EqualMixture):
    """`side` x `side` equal Gaussians, centred on 0."""

    side: int = param(5, "modes along each axis")
    spacing: float = param(2.0, "distance of neighbours")
    std: float = param(0.05, "standard deviation of a mode")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side < 1:
            raise ValueError(f"side must be >= 1, not {self.side}")

    @override
    def components(self) -> Tensor:
        ticks = self.spacing * (torch.arange(self.side, dtype=torch.float64) - (self.side - 1) / 2)
        return torch.cartesian_prod(ticks, ticks)
