"""Two interleaved half circles of radius 1, as scikit-learn's `make_moons` places them."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.points import Curves


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoMoons(Curves):
    """The upper moon around (0, 0), the lower around (1, .5)."""

    std: float = param(0.1, "standard deviation about a moon")

    @override
    def curves(self, u: Tensor) -> Tensor:
        t = math.pi * u
        return torch.stack([torch.stack([t.cos(), t.sin()], 1), torch.stack([1 - t.cos(), 0.5 - t.sin()], 1)])
