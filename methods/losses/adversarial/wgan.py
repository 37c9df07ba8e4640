"""Wasserstein GAN. Arjovsky, Chintala, Bottou. ICML 2017, arXiv:1701.07875."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import param
from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class WGAN(AdversarialLoss):
    """Eq. 3 with weights in [-clip, clip]: critic E D(fake) - E D(real), generator -E D(fake)."""

    clip: float = param(0.01, "Algorithm 1: c, largest absolute weight of the critic")

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Algorithm 1, line 5, negated to be minimised."""
        return D(fake).mean() - D(real).mean()

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """Algorithm 1, line 10."""
        return -D(fake).mean()

    @override
    @torch.no_grad()
    def constrain(self, D: nn.Module) -> None:
        """Algorithm 1, line 7: clip every parameter, those of normalisation layers too."""
        for p in D.parameters():
            p.clamp_(-self.clip, self.clip)
