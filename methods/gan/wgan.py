"""Wasserstein GAN.

Arjovsky, Chintala, Bottou. ICML 2017, arXiv:1701.07875.

| paper                                                 | here                              |
|-------------------------------------------------------|-----------------------------------|
| Eq. 3, the critic's gain E f(x) - E f(G(z))           | `critic_loss`                     |
| Algorithm 1, lines 2 to 8: five critic steps          | `critic_steps`, `train`           |
| Algorithm 1, line 7: weights in [-c, c]               | `adversarial.constrain`           |
| [code] 100 critic steps while it is far from optimal  | `warmup`, `long_every`, `n_long`  |

Departures: clips after each critic step, as Algorithm 1 does (the authors' code: before). Networks are the
    task's (the code: DCGAN's, or MLPs).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class WGAN(TwoPlayer):
    """The game whose value is a distance: a critic kept Lipschitz by clipping its weights."""

    toy: ClassVar[dict[str, Any]] = {"n_critic": 2, "n_long": 3}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(237_000, "[code] 25 epochs of LSUN bedrooms at five batches an update")
        batch_size: int = param(64, "Algorithm 1: m")
        optimizer: str = param("rmsprop[lr=5e-5]", "Algorithm 1: alpha")
        adversarial: str = param("wgan[clip=0.01]", "Eq. 3; Algorithm 1: c")
        n_critic: int = param(5, "Algorithm 1: critic steps an update")
        n_long: int = param(100, "[code] critic steps of a long update")
        warmup: int = param(25, "[code] the first updates are long ones")
        long_every: int = param(500, "[code] later, one in so many is")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """E f(G(z)) - E f(x)."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E f(G(z))."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    def critic_steps(self, t: int) -> int:
        """How many critic steps update `t` (0, 1, ...) makes."""
        return self.hp.n_long if t < self.hp.warmup or t % self.hp.long_every == 0 else self.hp.n_critic

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 1."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss, self.critic_steps, self.adversarial.constrain)
