"""Generative Adversarial Nets.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio. NIPS 2014, arXiv:1406.2661.

| paper                                              | here                           |
|----------------------------------------------------|--------------------------------|
| Eq. 1, min over G of max over D of V(D, G)         | `adversarial="saturating"`     |
| Sec. 3, G maximises log D(G(z)) instead            | `adversarial="nonsaturating"`  |
| Algorithm 1, k critic steps, one of the generator  | `train`, `n_critic`            |

As in the authors' code the generator's loss is the second by default.
Departures: networks are the task's (the paper's are ReLU layers against maxout with dropout) and latents are N(0, 1) (its code: uniform of
the same variance). Its code halves the critic's loss, raises the momentum to 0.7 by epoch 250 and divides the rate by 1.000004 an update.
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
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class GAN(TwoPlayer):
    """The original game, minimax or non-saturating."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(125_000, "[code] 250 epochs of 500 updates, where the momentum stops rising; the code stops by hand")
        batch_size: int = param(100, "[code] MNIST")
        optimizer: str = param("sgdm[lr=0.1,momentum=0.5]", "Algorithm 1: momentum; values [code]")
        adversarial: str = param("nonsaturating", "Sec. 3; `saturating` is Eq. 1")
        n_critic: int = param(1, "Algorithm 1: k, critic steps an update")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-V(D, G)."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E log D(G(z)), or E log(1 - D(G(z)))."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 1."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss, self.hp.n_critic, self.adversarial.constrain)
