"""Default generators and critics that generative tasks hand out, so that papers about losses compete on the same networks.

A critic is `head(body(x))`: feature matching reads `body`, other heads replace `head`. Pictures are [0, 1] at the boundary and
[-1, 1] inside; points are used as they are.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from typing_extensions import override

from bench.offers import FeatureCritic


class MLPGenerator(nn.Module):
    """z -> hidden ReLU layers -> points or flat pictures reshaped to `shape`."""

    def __init__(self, z_dim: int, shape: tuple[int, ...], hidden: tuple[int, ...] = (128, 128)) -> None:
        super().__init__()
        self.shape = shape
        self.net = nn.Sequential(*_relu_layers(z_dim, *hidden), nn.Linear(hidden[-1], math.prod(shape)))

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.net(z).reshape(-1, *self.shape)
        return y if len(self.shape) == 1 else y.sigmoid()


class Critic(FeatureCritic):
    """`head(body(x))`; one raw score a sample by default. `scale` divides the input first (points far from 0)."""

    def __init__(self, body: nn.Module, features: int, outputs: int = 1, scale: float = 1.0) -> None:
        super().__init__()
        self.body, self.head, self.features, self.scale = body, nn.Linear(features, outputs), features, scale

    @override
    def represent(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(2 * x - 1 if x.dim() == 4 else x / self.scale)
        return y

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.represent(x))
        return y.squeeze(1) if y.shape[1] == 1 else y


def mlp_critic(shape: tuple[int, ...], hidden: tuple[int, ...] = (128, 128), outputs: int = 1, scale: float = 1.0) -> Critic:
    """ReLU layers on points or flattened pictures."""
    return Critic(nn.Sequential(nn.Flatten(), *_relu_layers(math.prod(shape), *hidden)), hidden[-1], outputs, scale)


class ConvGenerator(nn.Module):
    """DCGAN's shape for sides 4 * 2^k: a projection to 4 x 4, stride-2 transposed convolutions with batch norm and ReLU, tanh mapped to [0,
    1].
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], ngf: int = 32) -> None:
        super().__init__()
        channels, side = shape[0], shape[-1]
        widths = [ngf * 2**i for i in reversed(range(round(math.log2(side / 4))))]  # ..., 2 ngf, ngf
        self.width = widths[0] * 2
        self.project = nn.Sequential(
            nn.Linear(z_dim, self.width * 16),
            nn.Unflatten(1, (self.width, 4, 4)),
            nn.BatchNorm2d(self.width),
            nn.ReLU(),
        )

        def up(i: int, o: int) -> nn.Module:
            return nn.Sequential(nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())

        ups = [up(i, o) for i, o in pairwise([self.width, *widths])]
        self.net = nn.Sequential(*ups[:-1], nn.ConvTranspose2d([self.width, *widths][-2], channels, 4, 2, 1), nn.Tanh())

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.net(self.project(z))
        return (y + 1) / 2


def conv_critic(shape: tuple[int, ...], ndf: int = 32, outputs: int = 1, norm: str = "none") -> Critic:
    """Stride-2 convolutions down to 4 x 4 with LeakyReLU 0.2. `norm`: none (what gradient penalties need) or batch."""
    widths = [shape[0], *(ndf * 2**i for i in range(round(math.log2(shape[-1] / 4))))]
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers += [nn.Conv2d(a, b, 4, 2, 1), *([nn.BatchNorm2d(b)] if norm == "batch" and i else []), nn.LeakyReLU(0.2)]
    return Critic(nn.Sequential(*layers, nn.Flatten()), widths[-1] * 16, outputs)


def _relu_layers(*widths: int) -> list[nn.Module]:
    return [m for i, o in pairwise(widths) for m in (nn.Linear(i, o), nn.ReLU())]
