"""Improved Techniques for Training GANs: feature matching.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.

| paper                                                        | here              |
|--------------------------------------------------------------|-------------------|
| Sec. 3.1, |E f(x) - E f(G(z))|^2, f a layer of the critic    | `generator_loss`  |
| Sec. 3.1, the critic trains as ever                          | `critic_loss`     |

f is what the critic's head reads. Departures: networks are the task's; the authors' code takes the mean over features of the squared
(MNIST) or absolute (CIFAR-10) difference where the paper's norm, and this file, sum squares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import FeatureCritic, GenerationTask
from methods.gan._improved import ImprovedHP
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import TwoPlayer


class FeatureMatchingGAN(TwoPlayer):
    """A generator that matches the mean of the critic's features instead of fooling it."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ImprovedHP):
        """[code]: where only the authors' code states a value."""

        adversarial: str = param("nonsaturating", "Sec. 3.1: the critic's loss is the usual one")

    hp: HP
    D: FeatureCritic

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """|E f(x) - E f(G(z))|^2."""
        real = self.D.represent(batch.x).mean(0).detach()
        return (real - self.D.represent(self.fake(len(batch))).mean(0)).square().sum()

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)
