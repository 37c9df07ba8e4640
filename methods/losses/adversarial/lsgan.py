"""Least Squares Generative Adversarial Networks. Mao, Li, Xie, Lau, Wang, Smolley. ICCV 2017, arXiv:1611.04076."""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSGAN(AdversarialLoss):
    """Labels 1 and 0, factors as in CycleGAN: critic (E (D(real) - 1)^2 + E D(fake)^2) / 2, generator E (D(fake) - 1)^2."""

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Half the sum of the two squared errors."""
        return ((D(real) - 1).square().mean() + D(fake).square().mean()) / 2

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """Without the half: CycleGAN weighs its cycle loss against this form."""
        return (D(fake) - 1).square().mean()
