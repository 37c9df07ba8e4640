"""Spectral Normalization for Generative Adversarial Networks.

Miyato, Kataoka, Koyama, Yoshida. ICLR 2018, arXiv:1802.05957.

| paper                                                      | here                       |
|------------------------------------------------------------|----------------------------|
| Algorithm 1: W / sigma(W), one step of the power iteration | `networks.spectral`        |
| Eq. 16, 17: the hinge losses                               | `adversarial="hinge"`      |
| Table 3: the standard networks                             | `_Generator`, `_critic`    |
| Table 1, setting C: Adam 2e-4, beta1 0.5, n_dis = 1        | `HP`                       |

The networks follow the picture's side: 32 pixels are three doublings of 4, as in the table.
Departures: none of the residual networks of Table 4.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import param
from bench.offers import GenerationTask
from methods.gan._pictures import coarsest
from methods.gan.gan import GAN
from methods.losses.contracts import AdversarialLoss
from methods.networks.backbones import Critic
from methods.networks.spectral import SpectralConv2d, SpectralLinear


class SNGAN(GAN):
    """A critic of Lipschitz constant 1 by its weights alone."""

    toy: ClassVar[dict[str, Any]] = {"ngf": 4, "ndf": 4, "z_dim": 8}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GAN.HP):
        """The paper's values for CIFAR-10 with the standard networks."""

        steps: int = param(100_000, "Sec. 4: updates of the generator")
        batch_size: int = param(64, "Sec. 4")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "Table 1, setting C")
        adversarial: str = param("hinge", "Eq. 16, 17")
        n_critic: int = param(1, "Table 1, setting C")
        z_dim: int = param(128, "Table 3: z ~ N(0, I)")
        ngf: int = param(64, "Table 3: channels before the generator's last layer")
        ndf: int = param(64, "Table 3: channels of the critic's first layer")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        self.G, self.D = _Generator(self.hp.z_dim, task.shape, self.hp.ngf), _critic(task.shape, self.hp.ndf)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=self.hp.optimizer_d or self.hp.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def z(self, n: int) -> Tensor:
        return torch.randn(n, self.hp.z_dim, device=self.device)


class _Generator(nn.Module):
    """A projection to 8 ngf maps, transposed convolutions that halve the channels, batch norm, ReLU; a 3 x 3 convolution and tanh."""

    def __init__(self, z_dim: int, shape: tuple[int, ...], ngf: int) -> None:
        super().__init__()
        side, ups = coarsest(shape)
        widths = [ngf * 2**i for i in reversed(range(ups + 1))]  # 512, 256, 128, 64
        layers: list[nn.Module] = [nn.Linear(z_dim, widths[0] * side**2), nn.Unflatten(1, (widths[0], side, side))]
        for i, o in pairwise(widths):
            layers += [nn.ConvTranspose2d(i, o, 4, 2, 1), nn.BatchNorm2d(o), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(widths[-1], shape[0], 3, padding=1), nn.Tanh())

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.net(z)
        return (y + 1) / 2


def _critic(shape: tuple[int, ...], ndf: int) -> Critic:
    """Pairs of convolutions, the second of which halves the side and the next of which doubles the channels; LeakyReLU 0.1."""
    side, downs = coarsest(shape)
    widths = [shape[0], *(ndf * 2**i for i in range(downs + 1))]
    layers: list[nn.Module] = []
    for depth, (i, o) in enumerate(pairwise(widths)):
        layers += [SpectralConv2d(i, o, 3, padding=1), nn.LeakyReLU(0.1)]
        if depth < downs:
            layers += [SpectralConv2d(o, o, 4, 2, 1), nn.LeakyReLU(0.1)]
    critic = Critic(nn.Sequential(*layers, nn.Flatten()), widths[-1] * side**2)
    critic.head = SpectralLinear(critic.features, 1)
    return critic
