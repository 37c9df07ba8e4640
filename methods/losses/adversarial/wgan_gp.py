"""Improved Training of Wasserstein GANs. Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville. NIPS 2017, arXiv:1704.00028."""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from bench.method import param
from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic, gradient_penalty


@dataclasses.dataclass(frozen=True, kw_only=True)
class WGANGP(AdversarialLoss):
    """Eq. 3: critic E D(fake) - E D(real) + gp E (|grad D| - 1)^2, generator -E D(fake). `gp` is the paper's lambda."""

    gp: float = param(10.0, "Sec. 4: lambda, weight of the gradient penalty")

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Eq. 3."""
        return D(fake).mean() - D(real).mean() + self.gp * gradient_penalty(D, real, fake)

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """Algorithm 1, line 12."""
        return -D(fake).mean()
