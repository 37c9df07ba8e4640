"""SRResNet, the generator of SRGAN trained without an adversary.

Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi. Photo-Realistic Single Image Super-Resolution Using a
Generative Adversarial Network. CVPR 2017, arXiv:1609.04802.

| paper                                      | here                        |
|--------------------------------------------|-----------------------------|
| Fig. 4, generator                          | `_srresnet.Generator`       |
| Eq. 4, SRResNet-MSE                        | `loss`, content = mse       |
| Eq. 5, SRResNet-VGG22                      | `loss`, content = vgg22     |

`weights=FILE` is a released network, judged as it is: that of twhui/SRGAN-PyTorch, which follows the paper.
As in the paper the small picture comes in [0, 1] and the large one leaves in [-1, 1].
Departures: photographs are the task's (the paper: 350,000 of ImageNet); the total variation of 2e-8 that VGG22 gets in the paper is left
out. Others call other networks SRResNet: without batch norm (BasicSR), with instance norm (twtygqyy), with 3 x 3 ends (tensorlayer).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, EnlargementTask
from methods.losses.contracts import ContentLoss
from methods.networks.image_nets import NORMS
from methods.networks.srresnet import Generator
from methods.procedures import regress
from methods.released import ReleasedHP, fill, open_released


class SRResNet(Method[EnlargementTask]):
    """A deep residual network on the small picture."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})
    toy: ClassVar[dict[str, Any]] = {"width": 4, "blocks": 1}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values."""

        steps: int = param(1_000_000, "Sec. 3.2")
        batch_size: int = param(16, "Sec. 3.2: crops of 96 x 96")
        optimizer: str = param("adam[lr=1e-4]", "Sec. 3.2: beta1 0.9")
        content: str = param("mse", "Sec. 2.2.1: mse or vgg22")
        width: int = param(64, "Fig. 4: channels")
        blocks: int = param(16, "Sec. 3.2: residual blocks")
        norm: Literal["batch", "identity"] = param("batch", "Sec. 2.1.1: after each convolution of the blocks")

    hp: HP

    @override
    def build(self, task: EnlargementTask) -> None:
        released = open_released(self, self.hp.weights, scale=task.scale)
        h = self.hp
        self.G = Generator(task.scale, h.width, h.blocks, NORMS[h.norm])
        if released:
            return fill(self, released)
        self.opt = self.optimizer(self.G)
        self.content: ContentLoss = registry.make("content", h.content)

    def loss(self, batch: Batch) -> Tensor:
        """The content loss on [-1, 1]."""
        return self.content(self.G(batch.observed), 2 * batch.truth - 1)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x 3 x H x W to N x 3 x scale H x scale W in [0, 1]."""
        return ((self.G(batch.observed) + 1) / 2).clamp(0, 1)
