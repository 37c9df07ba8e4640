"""The network of NAFNet (Chen, Chu, Zhang, Sun, ECCV 2022): a U-Net whose blocks have no activation functions; names as in its code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override


class NAFNetwork(nn.Module):
    """N x C x H x W to the same, sides multiples of 2^levels; the input and what is to be added to it.

    Args:
        channels: of the pictures.
        width: channels of the first level; each further one has twice as many.
        encoder: blocks a level, the finest first.
        middle: blocks at the coarsest level.
        decoder: blocks a level, the coarsest first.
    """

    def __init__(self, channels: int, width: int, encoder: tuple[int, ...], middle: int, decoder: tuple[int, ...]) -> None:
        super().__init__()

        def blocks(c: int, n: int) -> nn.Module:
            return nn.Sequential(*(NAFBlock(c) for _ in range(n)))

        widths = [width * 2**i for i in range(len(encoder) + 1)]
        self.intro, self.ending = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 3, padding=1)
        self.encoders = nn.ModuleList(blocks(c, n) for c, n in zip(widths, encoder))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, 2) for c in widths[:-1])
        self.middle_blks = blocks(widths[-1], middle)
        self.ups = nn.ModuleList(nn.Sequential(nn.Conv2d(c, 2 * c, 1, bias=False), nn.PixelShuffle(2)) for c in reversed(widths[1:]))
        self.decoders = nn.ModuleList(blocks(c, n) for c, n in zip(reversed(widths[:-1]), decoder))

    @override
    def forward(self, x: Tensor) -> Tensor:
        h, skips = self.intro(x), []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            h = encoder(h)
            skips.append(h)
            h = down(h)
        h = self.middle_blks(h)
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            h = decoder(up(h) + skips.pop())
        y: Tensor = x + self.ending(h)
        return y


class NAFBlock(nn.Module):
    """Fig. 3: norm, depthwise convolution, gate, channel attention; norm, gate. Each half is added times a gain that starts at 0."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(c), LayerNorm2d(c)
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c), nn.Conv2d(c, c, 1)
        self.conv4, self.conv5 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c, 1))
        self.beta, self.gamma = (nn.Parameter(torch.zeros(1, c, 1, 1)) for _ in range(2))

    @override
    def forward(self, x: Tensor) -> Tensor:
        h = _gate(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.beta * self.conv3(h * self.sca(h))
        y: Tensor = x + self.gamma * self.conv5(_gate(self.conv4(self.norm2(x))))
        return y


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, 1e-6).movedim(-1, 1)


def _gate(x: Tensor) -> Tensor:
    """SimpleGate: the product of the halves of the channels."""
    a, b = x.chunk(2, 1)
    return a * b
