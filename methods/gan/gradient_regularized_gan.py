"""Gradient Descent GAN Optimization is Locally Stable. The gradient-based regulariser.

Nagarajan, Kolter. NIPS 2017, arXiv:1706.04156.

| paper                                                     | here             |
|-----------------------------------------------------------|------------------|
| V, the saddle objective, which the critic ascends         | `critic_loss`    |
| Sec. 4: the generator descends V + eta |dV / d theta_D|^2 | `generator_loss` |

As in the authors' code: the squared norm over all the critic's parameters, without a half; the critic steps first, on V alone.
Departures: networks are the task's (the code's: 2 x 128 ReLU units against 128).
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
from bench.precision import full_precision
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class GradientRegularizedGAN(TwoPlayer):
    """The generator also makes the critic's gradient small. Any `adversarial` is played as a zero-sum game:
    V is minus its critic's loss.
    """

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The values of the authors' code for eight Gaussians."""

        steps: int = param(100_000, "[code]")
        batch_size: int = param(512, "[code]")
        optimizer: str = param("adam[lr=1e-4,betas=(0.5,0.999)]", "[code]")
        init: str = param("orthonormal[gain=0.8]", "[code]")
        adversarial: str = param("saturating", "Sec. 2: V of the GAN; the non-saturating form does not train with it")
        eta: float = param(0.5, "[code] weight of the squared norm")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-V."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """V + eta |dV / d theta_D|^2."""
        y = self.fake(len(batch))
        with full_precision():
            v = -self.adversarial.critic(self.D, batch.x, y)
        gradients = torch.autograd.grad(v, list(self.D.parameters()), create_graph=True)
        return v + self.hp.eta * torch.stack([g.square().sum() for g in gradients]).sum()

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)
