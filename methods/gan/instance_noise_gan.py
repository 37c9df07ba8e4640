"""Towards Principled Methods for Training Generative Adversarial Networks. Noise on the critic's inputs.

Arjovsky, Bottou. ICLR 2017, arXiv:1701.04862.

| paper                                                              | here                            |
|--------------------------------------------------------------------|---------------------------------|
| Thm. 3.1: the critic compares x + e with G(z) + e, e ~ N(0, s^2 I) | `noisy`, `critic_loss`          |
| Thm. 3.2: the generator descends E log(1 - D(G(z) + e))            | `generator_loss`, `adversarial` |
| Sec. 3: anneal the noise                                           | `sigma`                         |

Departures: networks are the task's; the paper states neither the noise's size nor its schedule: here it falls
    linearly to zero over the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class InstanceNoiseGAN(TwoPlayer):
    """Real and fake samples overlap once both carry noise, so the critic cannot become perfect."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper states no values."""

        steps: int = param(100_000, "ours")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "ours: DCGAN's")
        adversarial: str = param("saturating", "Thm. 3.2")
        sigma: float = param(0.5, "ours: standard deviation of the noise at the first update, in units of the data")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @property
    def sigma(self) -> float:
        """The noise's standard deviation at update t."""
        return self.hp.sigma * (1 - self.t / max(self.hp.steps, 1))

    def noisy(self, x: Tensor) -> Tensor:
        """The critic's scores of x + e."""
        return self.D(x + self.sigma * torch.randn_like(x))

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """The game on noisy samples."""
        return self.adversarial.critic(self.noisy, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """The game on noisy fakes."""
        return self.adversarial.generator(self.noisy, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)
