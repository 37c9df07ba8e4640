"""Enhanced Deep Residual Networks for Single Image Super-Resolution, the baseline model.

Lim, Son, Kim, Nah, Lee. CVPR Workshops 2017, arXiv:1707.02921.

| paper                                                  | here         |
|--------------------------------------------------------|--------------|
| Fig. 2c: residual blocks without batch norm            | `_Residual`  |
| Fig. 3: head, blocks, long skip, pixel shuffle         | `_Network`   |
| Sec. 3.3: L1                                           | `loss`       |

`blocks=32,width=256,residual_scale=0.1` is EDSR itself. Numbers run on 0 .. 255 around the mean colour of DIV2K, as in the authors' code
(sanghyun-son/EDSR-PyTorch, [code]), whose names of layers are kept. Numbers of figures and sections are recalled.
Departures: photographs are the task's (the paper: DIV2K); no self-ensemble; x3 and x4 do not start from a trained x2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, Logs, Method, TrainHP, param
from bench.offers import Capability, EnlargementTask
from bench.operators.transfer import constant
from methods.procedures import regress

_MEAN = (0.4488, 0.4371, 0.4040)  # colour of DIV2K on [0, 1]


class EDSR(Method[EnlargementTask]):
    """A deep residual network on the small picture, without norms."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})
    toy: ClassVar[dict[str, Any]] = {"width": 4, "blocks": 1}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """The values of the code for the baseline."""

        steps: int = param(300_000, "[code]")
        batch_size: int = param(16, "[code] small crops of 48 x 48")
        optimizer: str = param("adam[lr=1e-4]", "[code]")
        schedule: str = param("step[at=0.667,factor=0.5]", "[code] halved after 200,000 updates")
        width: int = param(64, "[code] channels")
        blocks: int = param(16, "[code] residual blocks")
        residual_scale: float = param(1.0, "[code] of what a block adds; 0.1 in the large model")

    hp: HP

    @override
    def build(self, task: EnlargementTask) -> None:
        self.G = _Network(task.scale, self.hp.width, self.hp.blocks, self.hp.residual_scale)
        self.opt = self.optimizer(self.G)

    def loss(self, batch: Batch) -> Tensor:
        """L1 on 0 .. 255."""
        return (self.G(batch.observed) - batch.truth).abs().mean() * 255

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x 3 x H x W to N x 3 x scale H x scale W in [0, 1]."""
        return self.G(batch.observed).clamp(0, 1)


class _Network(nn.Module):
    """N x 3 x H x W in [0, 1] to N x 3 x scale H x scale W."""

    def __init__(self, scale: int, width: int, blocks: int, residual_scale: float) -> None:
        super().__init__()
        residual = [_Residual(width, residual_scale) for _ in range(blocks)]
        self.head = nn.Sequential(_convolution(3, width))
        self.body = nn.Sequential(*residual, _convolution(width, width))
        self.tail = nn.Sequential(nn.Sequential(*_doublings(scale, width)), _convolution(width, 3))

    @override
    def forward(self, x: Tensor) -> Tensor:
        mean = constant(_MEAN, x)[:, None, None]
        h = self.head(255 * (x - mean))
        y: Tensor = self.tail(h + self.body(h))
        return y / 255 + mean


class _Residual(nn.Module):
    """Convolution, ReLU, convolution, scaled, and the input."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.body, self.scale = nn.Sequential(_convolution(width, width), nn.ReLU(), _convolution(width, width)), scale

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.scale * self.body(x)
        return y


def _doublings(scale: int, width: int) -> list[nn.Module]:
    """Pixel shuffles by 2 for a power of 2, else one by the scale."""
    factors = [2] * (scale.bit_length() - 1) if scale & (scale - 1) == 0 else [scale]
    return [layer for f in factors for layer in (_convolution(width, f**2 * width), nn.PixelShuffle(f))]


def _convolution(i: int, o: int) -> nn.Conv2d:
    return nn.Conv2d(i, o, 3, padding=1)
