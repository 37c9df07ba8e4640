"""A plain U-Net that predicts a saliency map: the baseline every adversarial method has to beat.

After Ronneberger, Fischer, Brox. U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015, arXiv:1505.04597.

| paper                         | here                                       |
|-------------------------------|--------------------------------------------|
| Fig. 1, contraction/expansion | `_nets.UNet`, then a 1 x 1 convolution     |
| Sec. 3, cross entropy a pixel | `loss`                                     |

Departures: enters at half size by pixel unshuffle, two scales, no crops, no weights a pixel; the truth may be
    a density, so labels are soft.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, Logs, Method, TrainHP, param
from bench.offers import Capability, SaliencyTask
from methods.networks.image_nets import UNet, padded
from methods.procedures import regress


class SaliencyUNet(Method[SaliencyTask]):
    """Supervised regression of the map."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency"})
    toy: ClassVar[dict[str, Any]] = {"width": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """No paper's values: chosen on the bundled scenes."""

        steps: int = param(30_000, "updates")
        batch_size: int = param(16, "pictures per update")
        optimizer: str = param("adam[lr=1e-3]", "update rule")
        schedule: str = param("cosine", "learning rate against progress")
        width: int = param(24, "channels of the first layer")

    hp: HP

    @override
    def build(self, task: SaliencyTask) -> None:
        self.G = nn.Sequential(UNet(width=self.hp.width), nn.Conv2d(3, 1, 1))
        self.opt = self.optimizer(self.G)

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy of the pixels."""
        return F.binary_cross_entropy_with_logits(self.G(2 * batch.observed - 1), batch.truth)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1], any size."""
        return padded(self.G, 2 * batch.observed - 1, 8).sigmoid()
