"""RED-CNN: Low-Dose CT with a Residual Encoder-Decoder Convolutional Neural Network.

Chen, Zhang, Kalra, Lin, Chen, Liao, Zhou, Wang. IEEE TMI 36(12), 2017, arXiv:1702.00288.

| paper                                                   | here       |
|---------------------------------------------------------|------------|
| Fig. 1: 5 convolutions, 5 deconvolutions, 3 shortcuts   | `_Network` |
| mean squared error of patches                           | `loss`     |

`weights=FILE` is a released network, judged as it is: SSinyu's checkpoint, or `redcnn` of eeulig/ldct-benchmark, which has no last ReLU and
other numbers for Hounsfield units; the file sets `last_relu`, `mean` and `std` (on [0, 1] as -1024 .. 3072 HU).
No layer pads: the encoder loses 20 pixels, the decoder wins them back. 1,848,865 parameters with 96 filters.
Departures: crops are the task's (the paper: patches of 55 x 55, also turned, mirrored and scaled); weights start as PyTorch's do (the
    paper: N(0, 0.01^2)); the learning rate stays constant unless a schedule is given (the paper lowers it to 1e-5 and does not say how).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.procedures import regress
from methods.released import ReleasedHP, fill, open_released
from methods.restoration._scaled import scaled


class REDCNN(Method[RestorationTask]):
    """Regression by an encoder and decoder of equal depth, tied by shortcuts."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"width": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values; [port] those of a widely used re-implementation (SSinyu)."""

        steps: int = param(100_000, "[port]")
        batch_size: int = param(16, "[port]")
        optimizer: str = param("adam[lr=1e-4]", "Adam, from 1e-4")
        width: int = param(96, "Fig. 1: filters of every layer but the last")
        size: int = param(5, "Fig. 1: side of a filter")
        last_relu: bool = param(True, "Fig. 1: a ReLU after the last layer, too")
        mean: float = param(0.0, "ours: what is taken from a picture on [0, 1] before the network sees it")
        std: float = param(1.0, "ours: what it is then divided by; both are undone behind the network")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.size % 2 == 0 or self.width < 1 or self.std <= 0:
                raise ValueError(f"size must be odd, width >= 1 and std > 0, not {self.size}, {self.width} and {self.std}")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        released = open_released(self, self.hp.weights, channels=task.channels)
        self.G = _Network(task.channels, self.hp.width, self.hp.size, self.hp.last_relu)
        if released:
            fill(self, released)
        self.opt = self.optimizer(self.G)

    def output(self, x: Tensor) -> Tensor:
        """The network's pictures on [0, 1], not yet clipped."""
        return scaled(self.G, x, self.hp.mean, self.hp.std)

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error."""
        return F.mse_loss(self.output(batch.observed), batch.truth)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], sides of 5 (size - 1) + 1 pixels or more."""
        return self.output(batch.observed).clamp(0, 1)


class _Network(nn.Module):
    """N x C x H x W -> the same size; with `last_relu` not below 0."""

    def __init__(self, channels: int, width: int, size: int, last_relu: bool = True) -> None:
        super().__init__()
        self.last_relu = last_relu
        self.down = nn.ModuleList(nn.Conv2d(i, o, size) for i, o in pairwise([channels] + [width] * 5))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, size) for i, o in pairwise([width] * 5 + [channels]))

    @override
    def forward(self, x: Tensor) -> Tensor:
        kept = [x]  # what goes into convolutions 1, 2, ..., and what the last one makes
        for conv in self.down:
            kept.append(conv(kept[-1]).relu())
        y = kept.pop()
        for i, conv in enumerate(self.up, start=1):
            y = conv(y)
            y = y + kept[5 - i] if i % 2 else y  # Fig. 1: shortcuts from the outputs of convolutions 4 and 2, and from the input
            y = y.relu() if i < len(self.up) or self.last_relu else y
        return y
