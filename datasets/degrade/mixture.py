"""The mixture noise of blind denoising papers (GCBD, CVPR 2018): most pixels nearly clean, some far off."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.operators.noise import LevelledNoise, normal, uniform


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture(LevelledNoise):
    """x + noise that is U(-sigma, sigma) in 10 % of the pixels, N(0, 1) in 20 % and N(0, 0.01) in 70 %, on the scale of 0 to 255."""

    @property
    @override
    def std(self) -> float:
        """The square root of 0.1 sigma^2 / 3 + 0.2 + 0.7 x 0.01, over 255."""
        return 0.0 if isinstance(self.sigma, tuple) else (0.1 * self.sigma**2 / 3 + 0.2 + 0.007) ** 0.5 / 255

    @override
    def corrupt(self, x: Tensor, level: Tensor, rng: torch.Generator | None) -> Tensor:
        shape = tuple(x.shape)
        which, wide, narrow = uniform(shape, x, rng), level * (2 * uniform(shape, x, rng) - 1), normal(shape, x, rng) / 255
        return x + torch.where(which < 0.1, wide, torch.where(which < 0.3, narrow, 0.1 * narrow))
