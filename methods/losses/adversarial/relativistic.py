"""The relativistic discriminator: a key element missing from standard GAN. Jolicoeur-Martineau. ICLR 2019, arXiv:1807.00734.

The critic says how much more real a sample is than the other kind on average: D~(x) = C(x) - mean of C over that kind. The generator
descends the critic's loss with the two kinds exchanged, so it also learns from the real samples.
Scores of a map (PatchGAN) count one by one, and the mean is over samples and places. Both terms count in full, as in the paper's
equations; the author's code halves their sum. Departures: none.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import param
from methods.losses.contracts import AdversarialLoss
from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relativistic(AdversarialLoss):
    """Relativistic average GAN (Sec. 4.2) on cross-entropy (RaSGAN), squares (RaLSGAN, labels 1 and -1) or margins of 1 (RaHingeGAN)."""

    form: Literal["sgan", "lsgan", "hinge"] = param(
        "sgan", "what compares the scores: sgan, cross-entropy (RaSGAN); lsgan, squares (RaLSGAN); hinge, margins (RaHingeGAN)"
    )

    @override
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Real samples are to be more real than fakes are on average, fakes less than real ones."""
        return self._loss(D(real), D(fake))

    @override
    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """The reverse; the real samples' scores move with the mean of the fakes'."""
        return self._loss(D(fake), D(real))

    def _loss(self, high: Tensor, low: Tensor) -> Tensor:
        """-E log s(high - E low) - E log(1 - s(low - E high)), E (high - E low - 1)^2 + E (low - E high + 1)^2, or the same with
        max(0, 1 - ...) and max(0, 1 + ...); scores of any shape.
        """
        above, below = high - low.mean(), low - high.mean()
        if self.form == "lsgan":
            return (above - 1).square().mean() + (below + 1).square().mean()
        if self.form == "hinge":
            return F.relu(1 - above).mean() + F.relu(1 + below).mean()
        return F.softplus(-above).mean() + F.softplus(below).mean()
