"""Improved Techniques for Training GANs: one-sided label smoothing.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.

| paper                                                     | here               |
|-----------------------------------------------------------|--------------------|
| Sec. 3.4, the target of real samples is alpha, not 1      | `critic_loss`      |
| Sec. 3.4, D = (alpha p + beta q) / (p + q), with beta 0   | tested             |

Departures: networks are the task's (the released ImageNet model smooths to 0.75).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import Logs, Samples, param
from methods.gan._improved import ImprovedHP
from methods.procedures import alternate
from methods.two_player import TwoPlayer


class LabelSmoothingGAN(TwoPlayer):
    """The game of 2014 with a critic that may not be sure of real samples."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ImprovedHP):
        """[code]: where only the authors' code states a value."""

        alpha: float = param(0.9, "Sec. 3.4: target of real samples; that of fakes stays 0")

    hp: HP

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-E [alpha log D(x) + (1 - alpha) log(1 - D(x))] - E log(1 - D(G(z)))."""
        real, fake = self.D(batch.x), self.D(self.fake(len(batch)).detach())
        return F.binary_cross_entropy_with_logits(real, torch.full_like(real, self.hp.alpha)) + F.softplus(fake).mean()

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E log D(G(z))."""
        return F.softplus(-self.D(self.fake(len(batch)))).mean()

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss)
