"""R3GAN's networks (arXiv:2501.05441, Table 2, last row): residual blocks with a wide grouped convolution, no norm, which start small.

G and D mirror each other: a stage for every side from the coarsest to the picture's, each of some blocks, all of one width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench.offers import FeatureCritic
from methods.gan._pictures import coarsest

EXPANSION, GROUP = 2, 16  # hidden channels for each of a block's; channels of a group
_GAIN = math.sqrt(2 / (1 + 0.2**2))  # of LeakyReLU 0.2


class ResNeXtGenerator(nn.Module):
    """N x z_dim to N x C x H x W; nothing keeps the pictures in [0, 1]."""

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int, blocks: int) -> None:
        super().__init__()
        side, ups = coarsest(shape)
        self.basis = nn.Parameter(torch.randn(width, side, side))
        self.project = _scaled(nn.Linear(z_dim, width, bias=False))
        stages = [_stage(width, blocks, (ups + 1) * blocks) for _ in range(ups + 1)]
        self.body = nn.Sequential(stages[0], *(nn.Sequential(Up(width), stage) for stage in stages[1:]))
        self.to_pixels = _scaled(nn.Conv2d(width, shape[0], 1, bias=False))

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.to_pixels(self.body(self.basis * self.project(z)[:, :, None, None]))
        return (y + 1) / 2


class ResNeXtCritic(FeatureCritic):
    """N x C x H x W in [0, 1] to N raw scores; each feature is a map of its own at the coarsest side, seen as a whole."""

    def __init__(self, shape: tuple[int, ...], width: int, blocks: int) -> None:
        super().__init__()
        side, downs = coarsest(shape)
        self.features = width
        stages = [_stage(width, blocks, (downs + 1) * blocks) for _ in range(downs + 1)]
        self.from_pixels = _scaled(nn.Conv2d(shape[0], width, 1, bias=False))
        self.body = nn.Sequential(*(nn.Sequential(stage, Down(width)) for stage in stages[:-1]), stages[-1])
        self.whole = _scaled(nn.Conv2d(width, width, side, groups=width, bias=False))
        self.head = _scaled(nn.Linear(width, 1, bias=False))

    @override
    def represent(self, x: Tensor) -> Tensor:
        y: Tensor = self.whole(self.body(self.from_pixels(2 * x - 1)))
        return y.flatten(1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.represent(x))
        return y.squeeze(1)


class Block(nn.Module):
    """X + conv1(act(grouped conv3(act(conv1(x))))); the last convolution starts at 0, so a block starts as the identity."""

    def __init__(self, width: int, total: int) -> None:
        super().__init__()
        hidden, gain = EXPANSION * width, _GAIN * total**-0.25
        self.expand = _scaled(nn.Conv2d(width, hidden, 1), gain)
        self.mix = _scaled(nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden // GROUP), gain)
        self.shrink = _scaled(nn.Conv2d(hidden, width, 1, bias=False), 0.0)

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shrink(F.leaky_relu(self.mix(F.leaky_relu(self.expand(x), 0.2)), 0.2))
        return x + y


class _Resampling(nn.Module):
    """Holds the weights 1 2 1 in both directions, one such kernel a channel."""

    kernel: Tensor

    def __init__(self, width: int, total: float) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(line, line) * total / 16
        self.width = width
        self.register_buffer("kernel", kernel.expand(width, 1, 3, 3).clone(), persistent=False)


class Up(_Resampling):
    """Twice the side; pixels between two are their mean."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 4.0)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.kernel, stride=2, padding=1, output_padding=1, groups=self.width)


class Down(_Resampling):
    """Half the side; a pixel is a weighted mean of nine."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 1.0)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, stride=2, padding=1, groups=self.width)


def _stage(width: int, blocks: int, total: int) -> nn.Module:
    """Blocks of a network that has so many in `total`."""
    return nn.Sequential(*(Block(width, total) for _ in range(blocks)))


def _scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """The layer with weights N(0, gain^2 / fan in) and biases of 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
