"""Improved Techniques for Training GANs: virtual batch normalization.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.

| paper                                                            | here                   |
|------------------------------------------------------------------|------------------------|
| Sec. 3.5, a reference batch, chosen once and fixed               | `prepare`              |
| Sec. 3.5, statistics of that batch and of the sample itself      | `_VirtualBatchNorm`    |
| Sec. 3.5, in the generator only, as it costs a second batch      | `build`, `fake`        |

Each sample of n + 1 weighs alike: one is the sample, n the reference batch, which is normalised by its own statistics [code].
Departures: networks are the task's, each batch norm of its generator replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.errors import Unavailable
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.gan._improved import ImprovedHP
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import TwoPlayer


class VirtualBatchNormGAN(TwoPlayer):
    """A generator normalised by a fixed batch: no sample depends on those drawn with it."""

    toy: ClassVar[dict[str, Any]] = {"reference": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ImprovedHP):
        """[code]: where only the authors' code states a value."""

        adversarial: str = param("nonsaturating", "the usual game")
        reference: int = param(64, "[code] n, samples in the reference batch")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        """The task's networks, the generator's batch norms replaced, and the game."""
        h = self.hp
        self.G, self.D = task.generator(), task.critic()
        if not _virtualise(self.G, h.reference):
            raise Unavailable("the task's generator has no batch norm that could be made virtual")
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    @override
    def prepare(self, data: Iterator[Samples]) -> None:
        """Fix the latents of the reference batch."""
        self.reference_z = self.z(self.hp.reference)

    @override
    def generate(self, z: Tensor) -> Tensor:
        """Samples from latents, normalised beside the reference batch."""
        y: Tensor = self.G(torch.cat([self.reference_z, z]))
        return y[self.hp.reference :]

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E log D(G(z))."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)


class _VirtualBatchNorm(nn.Module):
    """Normalises a batch whose first `n` samples are the reference; N x C x ... stays N x C x ..."""

    def __init__(self, channels: int, n: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.n, self.eps = n, eps
        self.weight, self.bias = nn.Parameter(torch.empty(channels).normal_(1, 0.02)), nn.Parameter(torch.zeros(channels))  # [code]

    @override
    def forward(self, x: Tensor) -> Tensor:
        v = x.flatten(2) if x.dim() > 2 else x[..., None]  # N x C x pixels
        mean, square = self._mixed(v.mean(2)), self._mixed(v.square().mean(2))
        scale = self.weight * (square - mean.square() + self.eps).rsqrt()
        return ((v - mean[..., None]) * scale[..., None] + self.bias[:, None]).reshape(x.shape)

    def _mixed(self, moments: Tensor) -> Tensor:
        """N x C moments: of the reference batch for its samples, with 1 / (n + 1) of their own for the others."""
        reference = moments[: self.n].mean(0, keepdim=True)
        return torch.cat([reference.expand(self.n, -1), reference + (moments[self.n :] - reference) / (self.n + 1)])


def _virtualise(network: nn.Module, n: int) -> int:
    """Replace every batch norm; returns how many there were."""
    found = 0
    for name, child in list(network.named_children()):
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(network, name, _VirtualBatchNorm(child.num_features, n, child.eps))
            found += 1
        else:
            found += _virtualise(child, n)
    return found
