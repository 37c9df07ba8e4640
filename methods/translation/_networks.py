"""The networks of pix2pix (Isola et al. 2017, appendix 6.1): an encoder and a decoder with or without skips, and the critic of single
pixels.

The other critics are `methods.networks.image_nets.PatchGAN`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from methods.networks.image_nets import Dropout, PatchGAN


class OwnStatistics(nn.BatchNorm2d):
    """Batch norm that in evaluation uses each picture's own statistics, as a test batch of one does (Sec. 3.3);
    it keeps none from training.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


class EncoderDecoder(nn.Module):
    """`depth` halvings by strided 4 x 4 convolutions (widths ngf, 2 ngf, 4 ngf, 8 ngf, 8 ngf, ...), as many doublings, tanh.
    Images in [-1, 1].

    Sides a multiple of 2^depth: depth 8 is unet_256, 7 unet_128. With `skips` each decoder layer also sees the encoder's layer of its size.
    No convolution but the last has a bias. Dropout, the only noise, follows the first three decoder layers; with
    `mc_dropout` in evaluation, too.
    """

    def __init__(
        self,
        ngf: int = 64,
        depth: int = 8,
        skips: bool = True,
        dropout: float = 0.5,
        mc_dropout: bool = True,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.skips = skips
        widths = [ngf * min(2**i, 8) for i in range(depth)]
        inner = zip(range(1, depth), widths, widths[1:])
        self.down = nn.ModuleList([nn.Conv2d(channels, ngf, 4, 2, 1, bias=False), *(_down(a, b, norm=i < depth - 1) for i, a, b in inner)])
        inputs = [w * (2 if skips and i < depth - 1 else 1) for i, w in enumerate(widths)]  # of the decoder layer that leaves size i
        noise = [dropout if depth - 1 - i < 3 else 0.0 for i in range(depth)]
        ups = [_up(inputs[i], widths[i - 1], noise[i], mc_dropout) for i in reversed(range(1, depth))]
        self.up = nn.ModuleList([*ups, nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inputs[0], channels, 4, 2, 1), nn.Tanh())])

    @override
    def forward(self, x: Tensor) -> Tensor:
        levels: list[Tensor] = []
        for down in self.down:
            x = down(x)  # N x widths[i] x H / 2^(i+1) x W / 2^(i+1)
            levels.append(x)
        y: Tensor = self.up[0](levels.pop())
        for up in self.up[1:]:
            level = levels.pop()
            y = up(torch.cat([y, level], 1) if self.skips else y)
        return y


def _down(width: int, out: int, norm: bool) -> nn.Module:
    conv = nn.Conv2d(width, out, 4, 2, 1, bias=False)
    return nn.Sequential(nn.LeakyReLU(0.2), conv, OwnStatistics(out)) if norm else nn.Sequential(nn.LeakyReLU(0.2), conv)


def _up(width: int, out: int, dropout: float, mc_dropout: bool) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(width, out, 4, 2, 1, bias=False), OwnStatistics(out), Dropout(dropout, mc_dropout))


def patch_critic(patch: int, channels: int, ndf: int) -> nn.Module:
    """The critic whose scores see `patch` x `patch` pixels; N x channels x H x W to a map of raw scores.

    Raises:
        KeyError: no critic has such patches (`PATCHES` holds those that have).
    """
    layers = PATCHES[patch]
    return PatchGAN(channels, ndf, layers, OwnStatistics, bias=False) if layers else _pixel_critic(channels, ndf)


PATCHES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""Side of a patch -> layers of the critic."""


def _pixel_critic(channels: int, ndf: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, ndf, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(ndf, 2 * ndf, 1, bias=False),
        OwnStatistics(2 * ndf),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * ndf, 1, 1, bias=False),
    )
