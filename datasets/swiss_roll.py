"""The swiss roll as the toy of the WGAN-GP code has it (Gulrajani et al. 2017): scikit-learn's first and third axis, divided by 7.5."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.points import Curves


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwissRoll(Curves):
    """(t cos t, t sin t) / scale with t uniform in [1.5 pi, 4.5 pi]; the default noise is .25 before scaling."""

    scale: float = param(7.5, "coordinates are divided by it")
    std: float = param(0.25 / 7.5, "standard deviation about the roll, after scaling")

    @override
    def curves(self, u: Tensor) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * u)
        return (torch.stack([t * t.cos(), t * t.sin()], 1) / self.scale)[None]
