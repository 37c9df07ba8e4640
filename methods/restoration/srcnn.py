"""Image Super-Resolution Using Deep Convolutional Networks.

Dong, Loy, He, Tang. ECCV 2014, PAMI 38(2), 2016, arXiv:1501.00092.

| paper                                        | here                     |
|----------------------------------------------|--------------------------|
| bicubic enlargement first                    | `bench.operators.resize.enlarge`   |
| Eq. 1-3, patches, mapping, reconstruction    | `build`: 9-1-5           |
| Eq. 4, squared error an image, batch mean    | `loss`                   |
| luma only, colours by bicubic                | `_shallow.coloured`      |
| last layer ten times slower                  | `_shallow.last_slower`   |

`weights=FILE` is a released network, judged as it is: those of yjn870/SRCNN-pytorch (9-5-5, padded by zeros), one for each scale.
As in the paper no loss is taken where a filter would reach over the edge of the crop.
Departures: crops are the task's, so Eq. 4 is taken as if they were the paper's 33 x 33; pictures are enlarged whole, then continued by
their outermost pixels. The paper counts back-propagations (8e8), not updates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import UsageError
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, EnlargementTask
from bench.operators.resize import enlarge
from methods.procedures import regress
from methods.released import ReleasedHP, fill, open_released
from methods.restoration._shallow import coloured, last_slower, luma

_PAPER_CROP = 33  # pixels a side


class SRCNN(Method[EnlargementTask]):
    """Three convolutions on the bicubic picture."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})
    toy: ClassVar[dict[str, Any]] = {"n1": 4, "n2": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values; [code] where only the authors' Caffe files state them."""

        steps: int = param(1_000_000, "ours")
        batch_size: int = param(128, "[code]")
        optimizer: str = param("sgdm[lr=1e-4,momentum=0.9]", "Sec. 3.3: rate of the first two layers; momentum [code]")
        n1: int = param(64, "Sec. 4.1: filters of the first layer")
        n2: int = param(32, "Sec. 4.1: filters of the second layer")
        f2: int = param(1, "Sec. 4.1: side of the second layer's filters; 5 is the larger network of Sec. 4.3.2")
        padding: Literal["replicate", "zeros"] = param("replicate", "ours: what continues a picture; yjn870/SRCNN-pytorch: zeros")
        std: float = param(1e-3, "Sec. 3.3: of the weights at the start")

    hp: HP

    @override
    def build(self, task: EnlargementTask) -> None:
        released = open_released(self, self.hp.weights)
        h, self.scale, self.margin = self.hp, task.scale, 9 // 2 + self.hp.f2 // 2 + 5 // 2
        if task.crop <= 2 * self.margin and not released:
            raise UsageError(f"srcnn: no pixel of a crop of {task.crop} is away from its edge: give --set crop={8 * self.margin} or more")
        conv = [
            nn.Conv2d(i, o, f, padding=f // 2, padding_mode=h.padding) for i, o, f in ((1, h.n1, 9), (h.n1, h.n2, h.f2), (h.n2, 1, 5))
        ]  # fmt: skip
        for layer in conv:
            nn.init.normal_(layer.weight, std=h.std)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        body = nn.Sequential(conv[0], nn.ReLU(), conv[1], nn.ReLU())
        self.G = nn.Sequential(body, conv[2])
        if released:
            fill(self, released)
        self.opt = last_slower(self, body, conv[2])

    def loss(self, batch: Batch) -> Tensor:
        """Eq. 4 on the inner pixels."""
        inner = slice(self.margin, -self.margin)
        error = self.G(luma(enlarge(batch.observed, self.scale))) - luma(batch.truth)
        return (_PAPER_CROP - 2 * self.margin) ** 2 * error[..., inner, inner].square().mean()  # summed over a crop of the paper

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x 3 x H x W to N x 3 x scale H x scale W in [0, 1]."""
        return coloured(self.G(luma(enlarge(batch.observed, self.scale))), batch.observed, self.scale)
