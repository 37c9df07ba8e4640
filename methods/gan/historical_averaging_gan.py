"""Improved Techniques for Training GANs: historical averaging.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.

| paper                                                             | here                    |
|-------------------------------------------------------------------|-------------------------|
| Sec. 3.3, |theta - (1/t) sum of theta[i]|^2, in each player's cost | `drift`                 |
| Sec. 3.3, the average is kept online                              | `remember`              |

Departures: networks are the task's. The average includes the parameters before the update, as a constant. The paper gives the term no
weight and the released code leaves it out; `weight` is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.gan._improved import ImprovedHP
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import TwoPlayer


class HistoricalAveragingGAN(TwoPlayer):
    """Players that pay for straying from the average of their own past, as in fictitious play."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ImprovedHP):
        """[code]: where only the authors' code states a value."""

        adversarial: str = param("nonsaturating", "the usual game")
        weight: float = param(0.1, "ours; Sec. 3.3 states none")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        """The task's networks, the game, averages of nothing yet."""
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)
        self.average_g, self.average_d = (torch.zeros_like(_vector(network)) for network in (self.G, self.D))

    @override
    def prepare(self, data: Iterator[Samples]) -> None:
        """The averages start at the first parameters."""
        self.remember()

    def drift(self, network: nn.Module, average: Tensor) -> Tensor:
        """The weighted squared distance from the average."""
        return self.hp.weight * (parameters_to_vector(network.parameters()) - average).square().sum()

    def remember(self) -> None:
        """Take the parameters after update t, the (t + 1)-th in line, into the averages."""
        for network, average in ((self.G, self.average_g), (self.D, self.average_d)):
            average += (_vector(network) - average) / (self.t + 1)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))) + drift."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach()) + self.drift(self.D, self.average_d)

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E log D(G(z)) + drift."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x) + self.drift(self.G, self.average_g)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """One step each, then the averages'."""
        for logs in alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain):
            self.remember()
            yield logs


def _vector(network: nn.Module) -> Tensor:
    return parameters_to_vector(network.parameters()).detach()
