"""A mixture of isotropic Gaussians with any means, deviations and weights.

By default that of Nowozin et al., "f-GAN", NIPS 2016 (the univariate fit): .33 N(-1, .065) + .67 N(2, 2), variances.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.points import Mixture


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussMixture(Mixture):
    """One Gaussian for each mean; `stds` and `shares` (any positive numbers) follow the means."""

    means: tuple[tuple[float, ...], ...] = param(((-1.0,), (2.0,)), "of the components, one point each")
    stds: tuple[float, ...] = param((0.065**0.5, 2.0**0.5), "standard deviation of each component")
    shares: tuple[float, ...] = param((0.33, 0.67), "of the components; made to sum to 1")

    def __post_init__(self) -> None:
        if not len(self.means) == len(self.stds) == len(self.shares) > 0 or len({len(m) for m in self.means}) != 1:
            raise ValueError("means (of one dimension), stds and shares must be equally many, at least one")
        if min(*self.stds, *self.shares) <= 0:
            raise ValueError("stds and shares must be positive")

    @override
    def components(self) -> Tensor:
        return torch.tensor(self.means, dtype=torch.float64)

    @override
    def deviations(self) -> Tensor:
        return torch.tensor(self.stds, dtype=torch.float64)

    @override
    def weights(self) -> Tensor:
        """The shares, made to sum to 1."""
        shares = torch.tensor(self.shares, dtype=torch.float64)
        return shares / shares.sum()
