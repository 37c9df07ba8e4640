"""Mode Regularized Generative Adversarial Networks. Manifold-Diffusion GAN.

Che, Li, Jacob, Bengio, Li. ICLR 2017, arXiv:1612.02136.

| paper, Alg. 1                                                       | here                   |
|---------------------------------------------------------------------|------------------------|
| manifold step: D1 ascends log D1(x) + log(1 - D1(G(E(x))))          | `manifold_critic_loss` |
| manifold step: G, E ascend lambda log D1(G(E(x))) - |x - G(E(x))|^2 | `manifold_loss`        |
| diffusion step: D2 ascends log D2(G(E(x))) + log(1 - D2(G(z)))      | `critic_loss`          |
| diffusion step: G ascends log D2(G(z))                              | `generator_loss`       |

D1 is `M` here, D2 is `D`. The squared distance is its mean over entries.
Departures: networks are the task's.
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
from methods.procedures import descend
from methods.two_player import GANHP, TwoPlayer


class MDGAN(TwoPlayer):
    """First bring reconstructions onto the data's manifold, then spread the generator's samples over the reconstructions."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """Alg. 1 states none; values as in `reg_gan`, lambda as far as we know the paper's."""

        steps: int = param(100_000, "ours; the paper does not state it")
        batch_size: int = param(128, "as reg_gan")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "as reg_gan")
        adversarial: str = param("nonsaturating", "Alg. 1, both steps")
        lam: float = param(0.01, "Alg. 1: lambda, weight of the manifold critic against the reconstruction")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        """Generator, encoder and two critics, an optimiser for each of the four steps."""
        super().build(task)
        self.E, self.M = task.critic(outputs=task.z_dim), task.critic()
        self.opt_e, self.opt_m = self.optimizer(self.G, self.E), self.optimizer(self.M, spec=self.hp.optimizer_d or self.hp.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x))."""
        y: Tensor = self.G(self.E(x).reshape(len(x), -1))  # N x z_dim, also where z_dim is 1
        return y

    def manifold_critic_loss(self, batch: Samples) -> Tensor:
        """D1: real against reconstructed."""
        return self.adversarial.critic(self.M, batch.x, self.reconstruct(batch.x).detach())

    def manifold_loss(self, batch: Samples) -> Tensor:
        """G and E: reconstruct, and deceive D1."""
        y = self.reconstruct(batch.x)
        return F.mse_loss(y, batch.x) + self.hp.lam * self.adversarial.generator(self.M, y, batch.x)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """D2: reconstructed, which counts as real, against G(z)."""
        return self.adversarial.critic(self.D, self.reconstruct(batch.x).detach(), self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """G: deceive D2."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), self.reconstruct(batch.x).detach())

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 1: the four steps on one batch."""
        while self.t < self.hp.steps:
            self.anneal()
            batch, logs = next(data), {}
            logs["manifold_critic"] = descend(self.opt_m, self.manifold_critic_loss(batch))
            self.adversarial.constrain(self.M)
            logs["manifold"] = descend(self.opt_e, self.manifold_loss(batch))
            logs["critic"] = descend(self.opt_d, self.critic_loss(batch))
            self.adversarial.constrain(self.D)
            logs["generator"] = descend(self.opt_g, self.generator_loss(batch))
            self.t += 1
            yield logs
