"""Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network.

Shi, Caballero, Huszar, Totz, Aitken, Bishop, Rueckert, Wang. CVPR 2016, arXiv:1609.05158.

| paper                                       | here                           |
|---------------------------------------------|--------------------------------|
| Eq. 1-2, tanh layers on the small picture   | `build`: (5, 64), (3, 32), 3   |
| Eq. 3-4, sub-pixel convolution              | `nn.PixelShuffle`              |
| Eq. 5, squared error a pixel                | `loss`                         |
| luma only, colours by bicubic               | `_shallow.coloured`            |
| Sec. 3.2, last layer ten times slower       | `_shallow.last_slower`         |

`weights=FILE` is a released network, judged as it is: that of yjn870/ESPCN-pytorch.
Departures: the rate falls along a cosine (the paper: when the cost stalls), for a number of updates that is ours (the paper: until
100 epochs bring nothing), by an optimiser that the paper does not name; small pictures and crops are the task's (the paper:
Gaussian, 17 x 17 small pixels).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, EnlargementTask
from methods.procedures import regress
from methods.released import ReleasedHP, fill, open_released
from methods.restoration._shallow import coloured, last_slower, luma


class ESPCN(Method[EnlargementTask]):
    """Three convolutions on the small picture, then a shuffle."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})
    toy: ClassVar[dict[str, Any]] = {"n1": 4, "n2": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values."""

        steps: int = param(300_000, "ours")
        batch_size: int = param(16, "ours")
        optimizer: str = param("sgdm[lr=0.01]", "Sec. 3.2: rate at the start; the rule is ours")
        schedule: str = param("cosine[end=0.01]", "Sec. 3.2: down to 0.0001; the way is ours")
        n1: int = param(64, "Sec. 3.2: filters of the first layer")
        n2: int = param(32, "Sec. 3.2: filters of the second layer")

    hp: HP

    @override
    def build(self, task: EnlargementTask) -> None:
        released = open_released(self, self.hp.weights, scale=task.scale)
        h, self.scale = self.hp, task.scale
        body = nn.Sequential(nn.Conv2d(1, h.n1, 5, padding=2), nn.Tanh(), nn.Conv2d(h.n1, h.n2, 3, padding=1), nn.Tanh())
        last = nn.Conv2d(h.n2, self.scale**2, 3, padding=1)
        self.G = nn.Sequential(body, last, nn.PixelShuffle(self.scale))
        if released:
            fill(self, released)
        self.opt = last_slower(self, body, last)

    def loss(self, batch: Batch) -> Tensor:
        """Eq. 5."""
        return F.mse_loss(self.G(luma(batch.observed)), luma(batch.truth))

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x 3 x H x W to N x 3 x scale H x scale W in [0, 1]."""
        return coloured(self.G(luma(batch.observed)), batch.observed, self.scale)
