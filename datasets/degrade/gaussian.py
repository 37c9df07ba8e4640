"""Additive white Gaussian noise: the noise of the denoising tables."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.operators.noise import LevelledNoise, normal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian(LevelledNoise):
    """x + N(0, (sigma / 255)^2), every pixel and channel by itself."""

    @property
    @override
    def std(self) -> float:
        """Sigma / 255, or 0 where sigma is a range."""
        return 0.0 if isinstance(self.sigma, tuple) else self.sigma / 255

    @override
    def corrupt(self, x: Tensor, level: Tensor, rng: torch.Generator | None) -> Tensor:
        return x + level * normal(tuple(x.shape), x, rng)
