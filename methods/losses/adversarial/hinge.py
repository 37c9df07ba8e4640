"""Geometric GAN. Lim, Ye. 2017, arXiv:1705.02894: the hinge loss."""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hinge(AdversarialLoss):
    """Critic E max(0, 1 - D(real)) + E max(0, 1 + D(fake)), generator -E D(fake)."""

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Samples beyond the margin cost nothing."""
        return F.relu(1 - D(real)).mean() + F.relu(1 + D(fake)).mean()

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """Unbounded, as WGAN's."""
        return -D(fake).mean()
