"""Noise2Noise: Learning Image Restoration without Clean Data.

Lehtinen, Munkberg, Hasselgren, Laine, Karras, Aittala, Aila. ICML 2018, arXiv:1803.04189.

| paper                                                                     | here    |
|---------------------------------------------------------------------------|---------|
| Sec. 2: argmin over theta of sum L(f(y1), y2), y1 and y2 noisy, E y2 = x  | `loss`  |
| Sec. 3.1: L2 for additive Gaussian and for Poisson noise                  | `loss`  |

A control: what a denoiser learns that never sees a clean picture. The truth is only measured a second time (`task.corrupt`). With L2 the
noise of the targets changes the variance of the gradient, not its mean.
Departures: DnCNN's network and loss, so that beside `dncnn` the targets alone differ (the paper: RED30 and a
    U-Net), and its hyper-parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Logs, Method
from bench.offers import Capability, DenoisingTask
from methods.procedures import regress
from methods.restoration._dncnn import DnCNNHP, DnCNNNetwork, denoise, residual_loss


class Noise2Noise(Method[DenoisingTask]):
    """Regression of one noisy picture on another."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired", "noise"})
    toy: ClassVar[dict[str, Any]] = {"layers": 3, "width": 4}

    HP: ClassVar[Any] = DnCNNHP
    hp: DnCNNHP

    @override
    def build(self, task: DenoisingTask) -> None:
        self.G = DnCNNNetwork(task.channels, self.hp.layers, self.hp.width)
        self.opt = self.optimizer(self.G)

    def loss(self, batch: Batch) -> Tensor:
        """L2 to a second measurement."""
        return residual_loss(self.G, batch.observed, self.task.corrupt(batch.truth))

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return denoise(self.G, batch)
