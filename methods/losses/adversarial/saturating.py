"""Generative Adversarial Nets. Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio. NIPS 2014, arXiv:1406.2661."""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saturating(AdversarialLoss):
    """Critic -E log D(real) - E log(1 - D(fake)), generator E log(1 - D(fake)): Eq. 1, the minimax game as it stands."""

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Eq. 1 negated, on logits."""
        return F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """E log(1 - sigmoid(D(fake)))."""
        return -F.softplus(D(fake)).mean()
