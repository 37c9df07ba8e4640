"""The relativistic discriminator, in pairs: RSGAN. Jolicoeur-Martineau. ICLR 2019, arXiv:1807.00734; RpGAN in arXiv:2501.05441.

The critic says how much more real a real sample is than the fake beside it. As every fake is held against a real sample, no single boundary
parts the two kinds, and fakes on a few modes are not all called real at once.
Scores of a map (PatchGAN) are paired place by place. Departures: none.
"""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelativisticPairing(AdversarialLoss):
    """Critic -E log s(C(real) - C(fake)), generator -E log s(C(fake) - C(real)); as many real samples as fakes, paired in their order."""

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Every real sample is to be more real than its fake."""
        return F.softplus(D(fake) - D(real)).mean()

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """The reverse."""
        return F.softplus(D(real) - D(fake)).mean()
