"""Photon noise."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.operators.noise import LevelledNoise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poisson(LevelledNoise):
    """Counts of mean x P, divided by P. Its standard deviation is sqrt(x / P): `sigma` / 255 at white, so P = (255 / sigma)^2 photons."""

    @override
    def corrupt(self, x: Tensor, level: Tensor, rng: torch.Generator | None) -> Tensor:
        photons = level.clamp_min(1e-3).square().reciprocal()  # a million at most: beyond that nothing is to be seen
        rate = (x.clamp_min(0) * photons).to(rng.device if rng else x.device)
        return torch.poisson(rate, generator=rng).to(x) / photons
