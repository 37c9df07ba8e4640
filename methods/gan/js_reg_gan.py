"""Stabilizing Training of Generative Adversarial Networks through Regularization.

Roth, Lucchi, Nowozin, Hofmann. NIPS 2017, arXiv:1705.09367.

| paper                                                                          | here                    |
|--------------------------------------------------------------------------------|-------------------------|
| Omega_JS = E_real (1 - p)^2 |grad D|^2 + E_fake p^2 |grad D|^2, p = sigmoid(D) | `_penalties.js_penalty` |
| F_gamma = E_real ln p + E_fake ln(1 - p) - gamma / 2 Omega_JS                  | `critic_loss`           |
| annealing: gamma 0.01^(t / (T - 1))                                            | `gamma`, `decay`        |

As in the authors' code the weights (1 - p)^2 and p^2 are differentiated too; the generator descends the non-saturating loss.
Departures: networks are the task's (the paper's: DCGAN and ResNets).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.penalties import js_penalty
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class JSRegGAN(TwoPlayer):
    """The gradient penalty that convolving both distributions with noise amounts to, to first order."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(100_000, "[code] mixture of Gaussians")
        batch_size: int = param(64, "[code]")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "[code]")
        gamma: float = param(0.1, "[code] constant; 2 where it is annealed")
        decay: float = param(1.0, "[code] what is left of gamma at the last update: 1 is constant, 0.01 their annealing")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", "nonsaturating")

    @property
    def gamma(self) -> float:
        """The penalty's weight at update t."""
        return self.hp.gamma * self.hp.decay ** (self.t / max(self.hp.steps - 1, 1))

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-F_gamma."""
        y = self.fake(len(batch)).detach()
        return self.adversarial.critic(self.D, batch.x, y) + self.gamma / 2 * js_penalty(self.D, batch.x, y)

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E ln p(fake)."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss)
