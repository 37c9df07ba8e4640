"""Networks that see a noisy sample and the time it stands at, as methods use them that turn noise into samples step by step."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from methods.networks.image_nets import padded

_WAVES = 32  # of an embedding, each as sine and cosine


def timed_network(shape: tuple[int, ...], width: int, levels: int, dropout: float) -> nn.Module:
    """(N x shape, N times in [0, 1]) -> N x shape: `TimedUNet` for pictures, `TimedMLP` for points."""
    return TimedUNet(shape[0], width, levels, dropout) if len(shape) == 3 else TimedMLP(shape[0], 4 * width, levels)


class TimedMLP(nn.Module):
    """Points N x d and times: SiLU layers on both."""

    def __init__(self, d: int, width: int = 128, layers: int = 3) -> None:
        super().__init__()
        sizes = [d + 2 * _WAVES, *[width] * layers]
        hidden = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.SiLU())]
        self.net = nn.Sequential(*hidden, nn.Linear(width, d))

    @override
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        y: Tensor = self.net(torch.cat([x, embed(t)], 1))
        return y


class TimedUNet(nn.Module):
    """DDPM's U-Net (Ho et al. 2020, App. B) with one block a level: residual blocks that time shifts, attention at the coarsest level.

    Args:
        channels: of the pictures.
        width: channels of the first level, a multiple of 8; twice as many at the others.
        levels: resolutions, each half of the one before.
        dropout: before the last convolution of each block.
    """

    def __init__(self, channels: int, width: int = 32, levels: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [width, *[2 * width] * (levels - 1)]
        self.time = nn.Sequential(nn.Linear(2 * _WAVES, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))

        def block(i: int, o: int) -> _Block:
            return _Block(i, o, 4 * width, dropout)

        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(block(i, o) for i, o in pairwise([width, *widths]))
        self.halve = nn.ModuleList(nn.Conv2d(w, w, 3, stride=2, padding=1) for w in widths[:-1])
        self.middle, self.attention = block(widths[-1], widths[-1]), _Attention(widths[-1])
        self.up = nn.ModuleList(block(below + w, w) for below, w in reversed(list(zip([*widths[1:], widths[-1]], widths, strict=True))))
        self.last = nn.Sequential(_norm(width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))

    @override
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        when = self.time(embed(t))
        return padded(lambda x: self._forward(x, when), x, 2 ** len(self.halve))

    def _forward(self, x: Tensor, when: Tensor) -> Tensor:
        h, skips = self.first(x), []
        for i, down in enumerate(self.down):
            h = down(h, when)
            skips.append(h)
            if i < len(self.halve):
                h = self.halve[i](h)
        h = self.attention(self.middle(h, when))
        for up in self.up:
            skip = skips.pop()
            h = up(torch.cat([F.interpolate(h, size=skip.shape[-2:]), skip], 1), when)
        y: Tensor = self.last(h)
        return y


class _Block(nn.Module):
    """Norm, SiLU, convolution, shift by time; norm, SiLU, convolution; and the input, by a 1 x 1 convolution where widths differ."""

    def __init__(self, i: int, o: int, when: int, dropout: float) -> None:
        super().__init__()
        self.one = nn.Sequential(_norm(i), nn.SiLU(), nn.Conv2d(i, o, 3, padding=1))
        self.shift = nn.Linear(when, o)
        self.two = nn.Sequential(_norm(o), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(o, o, 3, padding=1))
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    @override
    def forward(self, x: Tensor, when: Tensor) -> Tensor:
        y: Tensor = self.skip(x) + self.two(self.one(x) + self.shift(F.silu(when))[:, :, None, None])
        return y


class _Attention(nn.Module):
    """Every place looks at all others: one head, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = _norm(width), nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (y.flatten(2).transpose(1, 2) for y in self.qkv(self.norm(x)).chunk(3, 1))  # N x places x width
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).unflatten(2, x.shape[-2:])
        y: Tensor = x + self.out(seen)
        return y


def embed(t: Tensor) -> Tensor:
    """Times in [0, 1], N -> sines and cosines of 1,000 t at frequencies from 1 to 1e-4, N x 64."""
    frequencies = torch.exp(-math.log(1e4) / (_WAVES - 1) * torch.arange(_WAVES, device=t.device))
    angles = 1000 * t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def _norm(width: int) -> nn.Module:
    return nn.GroupNorm(8, width)
