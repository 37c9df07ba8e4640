"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.

Radford, Metz, Chintala. ICLR 2016, arXiv:1511.06434.

| paper                                                     | here                     |
|-----------------------------------------------------------|--------------------------|
| Sec. 3: strides not pooling, batch norm, no hidden layers | `_Generator`, `_critic`  |
| Fig. 1: z to 4 x 4 x 1024, four doublings, tanh           | `_Generator`             |
| Sec. 4: N(0, 0.02), Adam 2e-4 with beta1 0.5, batch 128   | `HP`                     |

The networks follow the picture's side: 64 pixels are four doublings of 4, 28 two of 7. `kernel=4,ngf=64,ndf=64,unit_norm=false` gives those
of pytorch/examples, with `z=normal`; `weights=FILE` is a generator that its code trained, judged as it is.
Departures: each update trains both players (the authors' code trains one of them, in turn) and nothing decays the weights (1e-5 there).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.gan._pictures import coarsest
from methods.losses.contracts import AdversarialLoss
from methods.networks.backbones import Critic
from methods.procedures import alternate
from methods.released import ReleasedHP, fill, open_released
from methods.two_player import GANHP, TwoPlayer


class DCGAN(TwoPlayer):
    """The original GAN between convolutional networks whose design makes training stable."""

    toy: ClassVar[dict[str, Any]] = {"ngf": 4, "ndf": 4, "z_dim": 8}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP, ReleasedHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(68_000, "[code] 25 epochs of some 350 000 faces")
        batch_size: int = param(128, "Sec. 4")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "Sec. 4")
        init: str = param("normal02", "Sec. 4: N(0, 0.02)")
        adversarial: str = param("nonsaturating", "[code]")
        z_dim: int = param(100, "Fig. 1: z ~ U(-1, 1)")
        z: Literal["uniform", "normal"] = param("uniform", "Fig. 1: U(-1, 1); pytorch/examples: N(0, 1)")
        ngf: int = param(128, "Fig. 1: channels before the generator's last layer")
        ndf: int = param(128, "[code] channels after the critic's first layer")
        kernel: Literal[4, 5] = param(5, "Fig. 1: side of every kernel; pytorch/examples: 4")
        unit_norm: bool = param(True, "[code] the projection of z is normalised a unit; pytorch/examples: a channel")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        released = open_released(self, self.hp.weights, channels=task.shape[0], side=task.shape[-1])
        h = self.hp
        self.G = _Generator(h.z_dim, task.shape, h.ngf, h.kernel, h.unit_norm)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        if released:
            return fill(self, released)
        self.D = _critic(task.shape, h.ndf, h.kernel)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)

    @override
    def z(self, n: int) -> Tensor:
        """Latents: n x z_dim, U(-1, 1) or N(0, 1)."""
        if self.hp.z == "normal":
            return torch.randn(n, self.hp.z_dim, device=self.device)
        return 2 * torch.rand(n, self.hp.z_dim, device=self.device) - 1

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


class _Generator(nn.Module):
    """Fig. 1: a projection, then strided transposed convolutions that halve the channels; batch norm and ReLU everywhere but at the end."""

    def __init__(self, z_dim: int, shape: tuple[int, ...], ngf: int, kernel: int, unit_norm: bool) -> None:
        super().__init__()
        side, ups = coarsest(shape)
        widths = [ngf * 2**i for i in reversed(range(ups))] or [ngf]  # 1024, 512, 256, 128
        units, unflatten = widths[0] * side**2, nn.Unflatten(1, (widths[0], side, side))
        norm = [nn.BatchNorm1d(units), unflatten] if unit_norm else [unflatten, nn.BatchNorm2d(widths[0])]
        layers: list[nn.Module] = [nn.Linear(z_dim, units, bias=False), *norm, nn.ReLU()]
        for i, o in pairwise(widths):
            layers += [_doubled(i, o, kernel), nn.BatchNorm2d(o), nn.ReLU()]
        self.net = nn.Sequential(*layers, _doubled(widths[-1], shape[0], kernel), nn.Tanh())

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.net(z)
        return (y + 1) / 2


def _critic(shape: tuple[int, ...], ndf: int, kernel: int) -> Critic:
    """Strided convolutions that double the channels, LeakyReLU 0.2, batch norm on all but the first; no biases."""
    side, downs = coarsest(shape)
    widths = [shape[0], *(ndf * 2**i for i in range(downs))]
    layers: list[nn.Module] = []
    for depth, (i, o) in enumerate(pairwise(widths)):
        halved = nn.Conv2d(i, o, kernel, 2, (kernel - 1) // 2, bias=False)
        layers += [halved, *([nn.BatchNorm2d(o)] if depth else []), nn.LeakyReLU(0.2)]
    critic = Critic(nn.Sequential(*layers, nn.Flatten()), widths[-1] * side**2)
    critic.head = nn.Linear(critic.features, 1, bias=False)
    return critic


def _doubled(i: int, o: int, kernel: int) -> nn.Module:
    """I x S x S to o x 2S x 2S."""
    return nn.ConvTranspose2d(i, o, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=False)
