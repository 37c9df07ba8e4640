"""Simple Baselines for Image Restoration. Chen, Chu, Zhang, Sun. ECCV 2022, arXiv:2204.04676.

| paper                                           | here                          |
|-------------------------------------------------|-------------------------------|
| Fig. 2c, a U-Net with additive skips            | `networks.nafnet.NAFNetwork`  |
| Fig. 3, the block without activation functions  | `networks.nafnet.NAFBlock`    |
| Sec. 5.1, the PSNR loss                         | `loss`                        |

Defaults are those of the authors' code for GoPro at width 32 ([code], megvii-research/NAFNet); for SIDD its network is
`encoder=(2,2,4,8),middle=12,decoder=(2,2,2,2)`. Numbers of figures and sections are recalled.
Departures: channel attention looks at the whole picture in tests, too (the authors pool over windows of the training crop, which is worth
some 0.3 dB on GoPro by recollection); a picture is filled up to a multiple of 2^levels by reflection (code: zeros).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Logs, Method, TrainHP, param
from bench.offers import Capability, RestorationTask
from methods.networks.image_nets import padded
from methods.networks.nafnet import NAFNetwork
from methods.procedures import clip_gradients, regress


class NAFNet(Method[RestorationTask]):
    """Supervised regression of the sharp picture."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"width": 4, "encoder": (1,), "decoder": (1,)}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """The values of the code for GoPro."""

        steps: int = param(200_000, "[code]")
        batch_size: int = param(32, "[code]: crops of 256 x 256")
        optimizer: str = param("adamw[lr=1e-3,betas=(0.9,0.9),weight_decay=1e-3]", "[code]; SIDD without decay")
        schedule: str = param("cosine", "[code]: to 1e-7")
        clip: float = param(0.01, "[code] longest gradient; a longer one is shortened")
        width: int = param(32, "[code] channels of the first level; 64 in the larger network")
        encoder: tuple[int, ...] = param((1, 1, 1, 28), "[code] blocks a level, the finest first")
        middle: int = param(1, "[code] blocks at the coarsest level")
        decoder: tuple[int, ...] = param((1, 1, 1, 1), "[code] blocks a level, the coarsest first")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if len(self.encoder) != len(self.decoder) or self.width < 1:
                raise ValueError(f"encoder and decoder must have equally many levels, not {self.encoder} and {self.decoder}")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        self.G = NAFNetwork(task.channels, self.hp.width, self.hp.encoder, self.hp.middle, self.hp.decoder)
        self.opt = self.optimizer(self.G)
        clip_gradients(self.opt, self.hp.clip)

    def loss(self, batch: Batch) -> Tensor:
        """Minus the PSNR of each picture, dB, the mean of a batch."""
        mse = (self._apply(batch.observed) - batch.truth).square().flatten(1).mean(1)
        return 10 / math.log(10) * (mse + 1e-8).log().mean()

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return self._apply(batch.observed).clamp(0, 1)

    def _apply(self, x: Tensor) -> Tensor:
        return padded(self.G, x, 2 ** len(self.hp.encoder))
