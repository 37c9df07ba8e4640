"""Image-to-image networks and critics that several papers share. All take N x C x H x W; widths are the first layer's channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench.operators.deterministic import reflect

Norm = Callable[[int], nn.Module]

NORMS: dict[str, Norm] = {
    "instance": partial(nn.InstanceNorm2d, affine=False, track_running_stats=False),
    "batch": nn.BatchNorm2d,
    "identity": lambda channels: nn.Identity(),
}


class ResNetGenerator(nn.Module):
    """The generator of CycleGAN (after Johnson et al. 2016) and DeblurGAN: down by 4, residual blocks, up by 4, tanh.

    Images in [-1, 1], sides a multiple of 4 (see `padded`). With `residual` the output is clamp(x + tanh, -1, 1) (DeblurGAN).
    """

    def __init__(
        self,
        channels: int = 3,
        ngf: int = 64,
        blocks: int = 9,
        norm: Norm = NORMS["instance"],
        dropout: float = 0.0,
        mc_dropout: bool = False,
        residual: bool = False,
        single_conv: bool = False,
        upsample: Callable[[int, int], nn.Module] | None = None,
        downsample: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.residual = residual
        upsample, downsample = upsample or _transposed, downsample or _strided

        def unit(conv: nn.Module, width: int) -> list[nn.Module]:
            return [conv, norm(width), nn.ReLU()]

        wide, wider, widest = ngf, 2 * ngf, 4 * ngf
        self.net = nn.Sequential(
            *unit(MirroredConv2d(channels, wide, 7), wide),
            *unit(downsample(wide, wider), wider),
            *unit(downsample(wider, widest), widest),
            *(_ResBlock(widest, norm, dropout, mc_dropout, single_conv) for _ in range(blocks)),
            *unit(upsample(widest, wider), wider),
            *unit(upsample(wider, wide), wide),
            MirroredConv2d(wide, channels, 7),
            nn.Tanh(),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return (x + y).clamp(-1, 1) if self.residual else y


class MirroredConv2d(nn.Conv2d):
    """A convolution that keeps the size (odd kernels): the picture goes on as its mirror image."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__(channels, width, kernel, padding=kernel // 2, padding_mode="reflect")

    @override
    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(reflect(input, self.kernel_size[0] // 2), self.weight, self.bias)


class _ResBlock(nn.Module):
    """x + conv-norm-relu-dropout-conv-norm(x). `single_conv`: what DeblurGAN's repository builds since March 2019, its second conv lost."""

    def __init__(self, width: int, norm: Norm, dropout: float, mc_dropout: bool, single_conv: bool) -> None:
        super().__init__()
        first = [MirroredConv2d(width, width, 3), norm(width)]
        noise = [nn.ReLU(), Dropout(dropout, mc_dropout)] if dropout or not single_conv else []
        second = [] if single_conv else [MirroredConv2d(width, width, 3), norm(width)]
        self.net = nn.Sequential(*first, *noise, *second)

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.net(x)
        return y


class Dropout(nn.Module):
    """Dropout that, with `always`, stays active in evaluation (Monte Carlo dropout; pix2pix and DeblurGAN test so)."""

    def __init__(self, p: float, always: bool = False) -> None:
        super().__init__()
        self.p, self.always = p, always

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training or self.always) if self.p else x


class PatchGAN(nn.Module):
    """pix2pix's critic: a map of scores, each of a patch (n_layers 1..5: 16, 34, 70, 142, 286 pixels wide). No sigmoid.

    `padding` 1 is pix2pix's and CycleGAN's, 2 DeblurGAN's (at 256 x 256 a map of 30 x 30 and 35 x 35).
    `bias`: in the convolutions before a norm; pix2pix has none there, as its batch norm shifts.
    """

    def __init__(
        self, channels: int = 3, ndf: int = 64, n_layers: int = 3, norm: Norm = NORMS["instance"], padding: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        widths = [ndf * min(2**i, 8) for i in range(n_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, ndf, 4, stride=2, padding=padding), nn.LeakyReLU(0.2)]
        for i in range(1, n_layers + 1):
            stride = 2 if i < n_layers else 1
            layers += [
                nn.Conv2d(widths[i - 1], widths[i], 4, stride=stride, padding=padding, bias=bias),
                norm(widths[i]),
                nn.LeakyReLU(0.2),
            ]
        self.net = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, stride=1, padding=padding))

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return y


class UNet(nn.Module):
    """A small residual U-Net: works at half size (pixel unshuffle), two halvings, no norm. The last layer starts at zero: identity.

    Sides a multiple of 8 (see `padded`); any range.
    """

    def __init__(self, channels: int = 3, width: int = 24) -> None:
        super().__init__()
        w1, w2, w3 = width, 2 * width, 4 * width

        def convs(*widths: int) -> nn.Sequential:
            return nn.Sequential(*(m for i, o in pairwise(widths) for m in (nn.Conv2d(i, o, 3, padding=1), nn.ReLU())))

        self.enter = convs(4 * channels, w1, w1)
        self.down1, self.down2 = nn.Conv2d(w1, w2, 3, stride=2, padding=1), nn.Conv2d(w2, w3, 3, stride=2, padding=1)
        self.middle1, self.middle2 = convs(w2, w2, w2, w2), convs(w3, w3, w3, w3)
        self.up2, self.up1 = nn.ConvTranspose2d(w3, w2, 2, stride=2), nn.ConvTranspose2d(w2, w1, 2, stride=2)
        self.merge2, self.merge1 = convs(2 * w2, w2, w2), convs(2 * w1, w1, w1)
        self.leave = nn.Conv2d(w1, 4 * channels, 3, padding=1)
        for p in self.leave.parameters():
            nn.init.zeros_(p)

    @override
    def forward(self, x: Tensor) -> Tensor:
        a = self.enter(F.pixel_unshuffle(x, 2))  # N x w1 x H/2 x W/2
        b = self.middle1(self.down1(a))  # N x w2 x H/4 x W/4
        c = self.middle2(self.down2(b))  # N x w3 x H/8 x W/8
        b = self.merge2(torch.cat([self.up2(c), b], 1))
        a = self.merge1(torch.cat([self.up1(b), a], 1))
        return x + F.pixel_shuffle(self.leave(a), 2)


def padded(net: Callable[[Tensor], Tensor], x: Tensor, multiple: int) -> Tensor:
    """Apply a network that keeps the size but wants sides that are multiples of something: reflect at right and bottom, then crop.

    A picture smaller than its margin goes on with its last row and column.
    """
    h, w = x.shape[-2:]
    right, below = -w % multiple, -h % multiple
    return net(F.pad(x, (0, right, 0, below), mode="reflect" if right < w and below < h else "replicate"))[..., :h, :w]


def _strided(width: int, out: int) -> nn.Module:
    return nn.Conv2d(width, out, 3, stride=2, padding=1)


def _transposed(width: int, out: int) -> nn.Module:
    return nn.ConvTranspose2d(width, out, 3, stride=2, padding=1, output_padding=1)
