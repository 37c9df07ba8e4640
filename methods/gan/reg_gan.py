"""Mode Regularized Generative Adversarial Networks. Regularized GAN.

Che, Li, Jacob, Bengio, Li. ICLR 2017, arXiv:1612.02136.

| paper                                                            | here             |
|------------------------------------------------------------------|------------------|
| an encoder E of the critic's shape                               | `build`          |
| T_E = E_real [lambda1 d(x, G(E(x))) - lambda2 log D(G(E(x)))]    | `encoder_loss`   |
| T_G = -E_z log D(G(z)) + T_E                                     | `generator_loss` |

The sign of lambda2 is that of the idea: code is about that minimises + lambda2 log D and so drives G(E(x)) away from the data.
d is the mean squared error. Departures: networks are the task's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class RegGAN(TwoPlayer):
    """Real samples, encoded and generated again, give the generator a gradient at every mode."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The values of a published implementation for CelebA; the paper's, as far as we know."""

        steps: int = param(100_000, "ours; the paper does not state it")
        batch_size: int = param(128, "CelebA")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "CelebA")
        adversarial: str = param("nonsaturating", "T_G")
        lambda1: float = param(0.2, "T_E: weight of the reconstruction")
        lambda2: float = param(0.4, "T_E: weight of the critic's view of it")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        """Networks; the generator's optimiser moves the encoder too, as T_G and T_E have the same gradient in E."""
        super().build(task)
        self.E = task.critic(outputs=task.z_dim)
        self.opt_g = self.optimizer(self.G, self.E)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """Real against G(z); reconstructions take no part."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    def encoder_loss(self, batch: Samples) -> Tensor:
        """T_E."""
        y = self.G(self.E(batch.x).reshape(len(batch), -1))  # N x z_dim, also where z_dim is 1
        return self.hp.lambda1 * F.mse_loss(y, batch.x) + self.hp.lambda2 * self.adversarial.generator(self.D, y, batch.x)

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """T_G."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x) + self.encoder_loss(batch)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """One critic step, one step of generator and encoder."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)
