"""Generative Adversarial Nets. Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio. NIPS 2014, arXiv:1406.2661."""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class NonSaturating(AdversarialLoss):
    """Critic -E log D(real) - E log(1 - D(fake)), generator -E log D(fake): strong gradients where the critic wins (Sec. 3)."""

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Eq. 1 negated, on logits."""
        return F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """-E log sigmoid(D(fake))."""
        return F.softplus(-D(fake)).mean()
