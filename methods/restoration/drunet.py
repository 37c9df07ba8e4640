"""Plug-and-Play Image Restoration with Deep Denoiser Prior: its denoiser, DRUNet.

Zhang, Li, Zuo, Zhang, Van Gool, Timofte. IEEE TPAMI 44(10), 2022, arXiv:2008.13751.

| paper                                                  | here        |
|--------------------------------------------------------|-------------|
| Fig. 2: four scales of four residual blocks, no biases | `_Network`  |
| Sec. 4.1: L1                                           | `loss`      |

Layers have the names of the authors' code ([code], cszn/KAIR). Numbers of figures and sections are recalled.
Without biases the network knows no scale: f(a y, a sigma) = a f(y, sigma).
Departures: the map is one number, the level that the task tells (`Batch.sigma`; 0 where it is blind), in training too; a picture is filled
up to a multiple of 8 by reflection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, Logs, Method, TrainHP, param
from bench.offers import Capability, RestorationTask
from methods.networks.image_nets import padded
from methods.procedures import regress


class DRUNet(Method[RestorationTask]):
    """Regression of the clean picture by a residual U-Net that is told the level of the noise."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"width": 4, "blocks": 1}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """The values of the code."""

        steps: int = param(500_000, "[code]: the last halving of the rate is at 400,000")
        batch_size: int = param(64, "[code]: patches of 128 x 128")
        optimizer: str = param("adam[lr=1e-4]", "[code]")
        schedule: str = param("step[at=(0.2,0.4,0.6,0.8),factor=0.5]", "[code] halved every 100,000 updates")
        init: str = param("orthonormal", "[code]: orthogonal")
        width: int = param(64, "[code] channels of the first scale; each further one has twice as many")
        blocks: int = param(4, "[code] residual blocks a scale")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        self.G = _Network(task.channels, self.hp.width, self.hp.blocks)
        self.opt = self.optimizer(self.G)

    def loss(self, batch: Batch) -> Tensor:
        """L1."""
        return (self._apply(batch) - batch.truth).abs().mean()

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return self._apply(batch).clamp(0, 1)

    def _apply(self, batch: Batch) -> Tensor:
        return padded(lambda x: self.G(x, batch.sigma), batch.observed, 8)


class _Network(nn.Module):
    """N x C x H x W, sides multiples of 8, and the level on [0, 1] to the clean picture; skips are added."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(4)]

        def down(i: int, o: int) -> nn.Module:
            return nn.Sequential(*(_Residual(i) for _ in range(blocks)), nn.Conv2d(i, o, 2, 2, bias=False))

        def up(i: int, o: int) -> nn.Module:
            return nn.Sequential(nn.ConvTranspose2d(i, o, 2, 2, bias=False), *(_Residual(o) for _ in range(blocks)))

        self.m_head = _convolution(channels + 1, width)
        self.m_down1, self.m_down2, self.m_down3 = (down(widths[i], widths[i + 1]) for i in range(3))
        self.m_body = nn.Sequential(*(_Residual(widths[3]) for _ in range(blocks)))
        self.m_up3, self.m_up2, self.m_up1 = (up(widths[i + 1], widths[i]) for i in (2, 1, 0))
        self.m_tail = _convolution(width, channels)

    @override
    def forward(self, x: Tensor, sigma: float) -> Tensor:
        x1 = self.m_head(torch.cat([x, torch.full_like(x[:, :1], sigma)], 1))
        x2 = self.m_down1(x1)
        x3 = self.m_down2(x2)
        x4 = self.m_down3(x3)
        h = self.m_body(x4)
        h = self.m_up3(h + x4)
        h = self.m_up2(h + x3)
        h = self.m_up1(h + x2)
        y: Tensor = self.m_tail(h + x1)
        return y


class _Residual(nn.Module):
    """Convolution, ReLU, convolution, and the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res = nn.Sequential(_convolution(width, width), nn.ReLU(), _convolution(width, width))

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.res(x)
        return y


def _convolution(i: int, o: int) -> nn.Conv2d:
    return nn.Conv2d(i, o, 3, padding=1, bias=False)
