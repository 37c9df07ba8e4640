"""Arms that wind around 0 at a growing distance (Archimedes' spiral)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.points import Curves


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spiral(Curves):
    """Distance and angle grow together, from 0 to `radius` and to `turns` full turns; the arms are rotated copies."""

    arms: int = param(2, "curves")
    turns: float = param(1.0, "of an arm")
    radius: float = param(2.0, "where an arm ends")
    std: float = param(0.05, "standard deviation about an arm")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.arms < 1:
            raise ValueError(f"arms must be >= 1, not {self.arms}")

    @override
    def curves(self, u: Tensor) -> Tensor:
        start = torch.arange(self.arms, dtype=torch.float64)[:, None] / self.arms
        angle = 2 * math.pi * (start + self.turns * u)
        return self.radius * u[:, None] * torch.stack([angle.cos(), angle.sin()], 2)
