"""A plain U-Net trained on a pixel loss: the baseline every adversarial method has to beat.

After Ronneberger, Fischer, Brox. U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015, arXiv:1505.04597.

| paper                         | here         |
|-------------------------------|--------------|
| Fig. 1, contraction/expansion | `_nets.UNet` |

Departures: for restoration, not segmentation: predicts the residual, enters at half size by pixel unshuffle, two scales, no crops,
    residual L1 loss instead of cross entropy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Batch, Logs, Method, TrainHP, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import ContentLoss
from methods.networks.image_nets import UNet as Network
from methods.networks.image_nets import padded
from methods.procedures import regress


class UNet(Method[RestorationTask]):
    """Supervised regression of the sharp image."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"width": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """No paper's values: chosen on the bundled photographs."""

        steps: int = param(100_000, "updates")
        batch_size: int = param(16, "crops per update")
        optimizer: str = param("adam[lr=1e-3]", "update rule")
        schedule: str = param("cosine", "learning rate against progress")
        width: int = param(24, "channels of the first layer; 24 makes 0.48 M parameters")
        content: str = param("l1", "loss between restored and sharp image, both in [-1, 1]")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        self.G = Network(task.channels, self.hp.width)
        self.opt = self.optimizer(self.G)
        self.content: ContentLoss = registry.make("content", self.hp.content)

    def loss(self, batch: Batch) -> Tensor:
        """The content loss on [-1, 1]."""
        return self.content(self.G(2 * batch.observed - 1), 2 * batch.truth - 1)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return ((padded(self.G, 2 * batch.observed - 1, 8) + 1) / 2).clamp(0, 1)
