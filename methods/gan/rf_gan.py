"""Improved Training of Generative Adversarial Networks Using Representative Features.

Bang, Shim. ICML 2018, arXiv:1801.09195.

| paper                                                               | here               |
|---------------------------------------------------------------------|--------------------|
| a denoising autoencoder, trained on real data alone                 | `autoencoder_loss` |
| Fig. 1: D(x) = w [representative features, discriminative features] | `_RFCritic`        |
| the encoder stays fixed; its gradient reaches the generator         | `freeze`           |

As in the first author's code: the encoder has the critic's shape and is in evaluation mode during the game; the generator steps twice an
update with the same loss. That code's salt writes 1 of 255, so that it darkens entries like its pepper: entries are set to 0 here.
Departures: networks are the task's, so the decoder is a second generator and the code has z_dim entries; z ~ N(0, 1) in place of U(-1, 1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import FeatureCritic, GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.procedures import descend, regress
from methods.two_player import GANHP, TwoPlayer


class _RFCritic(nn.Module):
    """One raw score from the features of two bodies: the encoder's and the critic's own."""

    def __init__(self, encoder: FeatureCritic, critic: FeatureCritic) -> None:
        super().__init__()
        self.encoder, self.critic = encoder, critic
        self.critic.head = nn.Linear(encoder.features + critic.features, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.critic.head(torch.cat([self.encoder.represent(x), self.critic.represent(x)], 1))
        return y.squeeze(1)


class RFGAN(TwoPlayer):
    """Features that represent the data, which no game can make the critic forget, beside those that discriminate."""

    toy: ClassVar[dict[str, Any]] = {"pretrain": 0.5}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The values of the first author's code for CelebA."""

        steps: int = param(105_000, "ours; the autoencoder's share is 15 750")
        batch_size: int = param(128, "[code]")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "[code]")
        adversarial: str = param("nonsaturating", "[code] DCGAN's")
        pretrain: float = param(0.15, "share of `steps` for the autoencoder; [code] 10 epochs of CelebA, 15 800 updates")
        noise: float = param(0.25, "[code] share of the autoencoder's input entries that are lost")
        n_generator: int = param(2, "[code] generator steps a critic step")

    hp: HP
    D: _RFCritic

    @override
    def build(self, task: GenerationTask) -> None:
        """Generator, critic with two bodies, decoder; an optimiser for each of the three trainings."""
        h = self.hp
        self.G, self.decoder = task.generator(), task.generator()
        self.D = _RFCritic(task.critic(outputs=task.z_dim), task.critic())
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D.critic, spec=h.optimizer_d or h.optimizer)
        self.opt_a = self.optimizer(self.D.encoder, self.decoder)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    def autoencoder_loss(self, batch: Samples) -> Tensor:
        """E |decoder(E(x with entries lost)) - x|."""
        kept = torch.rand_like(batch.x) >= self.hp.noise
        code = self.D.encoder(batch.x * kept).reshape(len(batch), -1)  # N x z_dim, also where z_dim is 1
        return F.l1_loss(self.decoder(code), batch.x)

    def freeze(self) -> None:
        """Fix the encoder, its batch statistics included."""
        self.D.encoder.eval().requires_grad_(False)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """The autoencoder, then the game: one critic step, two generator steps."""
        yield from regress(self, data, self.autoencoder_loss, round(self.hp.pretrain * self.hp.steps), self.opt_a)
        self.freeze()
        while self.t < self.hp.steps:
            self.anneal()
            batch = next(data)
            d = descend(self.opt_d, self.critic_loss(batch))
            self.adversarial.constrain(self.D.critic)
            for _ in range(self.hp.n_generator):
                g = descend(self.opt_g, self.generator_loss(batch))
            self.t += 1
            yield {"critic": d, "generator": g}
