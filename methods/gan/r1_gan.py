"""Which Training Methods for GANs do actually Converge? The R1 penalty.

Mescheder, Geiger, Nowozin. ICML 2018, arXiv:1801.04406.

| paper                                       | here                |
|---------------------------------------------|---------------------|
| Eq. 9: R1 = gamma / 2 E_real |grad D(x)|^2  | `critic_loss`       |
| alternating gradient descent                | `train`             |
| Sec. 5: the non-saturating game             | `adversarial`       |

The authors' code multiplies by `reg_param` without the half: its 10 is gamma = 20 here.
Departures: networks are the task's (the paper's: ResNets without batch norm).
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
from methods.penalties import zero_centred_penalty
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class R1GAN(TwoPlayer):
    """A zero-centred gradient penalty on real samples."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(100_000, "ours; the paper does not state it")
        batch_size: int = param(64, "[code]; 128 on ImageNet, 24 on CelebA-HQ")
        optimizer: str = param("rmsprop[lr=1e-4]", "[code]")
        ema: float = param(0.999, "[code]: samples come from the average of the generator's weights")
        adversarial: str = param("nonsaturating", "Sec. 5")
        gamma: float = param(10.0, "Sec. 5, with the half of Eq. 9")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """The game and the penalty."""
        y = self.fake(len(batch)).detach()
        return self.adversarial.critic(self.D, batch.x, y) + self.hp.gamma / 2 * zero_centred_penalty(self.D, self.penalised(batch.x, y))

    def penalised(self, x: Tensor, y: Tensor) -> Tensor:
        """Where the critic's gradient is to vanish: on real samples x (R1)."""
        return x

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)
