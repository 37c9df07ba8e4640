"""FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image Denoising. Zhang, Zuo, Zhang. IEEE TIP 27(9), 2018, arXiv:1710.04026.

| paper                                                     | here        |
|-----------------------------------------------------------|-------------|
| Fig. 1: four half-size pictures and a map of the level    | `_Network`  |
| Sec. III-C: 15 layers of 64 for gray, 12 of 96 for colour | `_Network`  |

Values are those of KAIR's training ([code], cszn/KAIR). Numbers of figures and sections are recalled.
Departures: the map is one number, the level that the task tells (`Batch.sigma`; 0 where it is blind), in training too: a task with one
level makes a network for that level. Steps are ours.
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
from bench.offers import Capability, RestorationTask
from methods.procedures import regress


class FFDNet(Method[RestorationTask]):
    """Regression of the clean picture by a network that is told the level of the noise."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"layers": 3, "width": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """The values of the code; 0: the paper's for so many channels."""

        steps: int = param(1_000_000, "ours")
        batch_size: int = param(64, "[code]: patches of 64 x 64")
        optimizer: str = param("adam[lr=1e-4]", "[code]")
        schedule: str = param("step[at=(0.2,0.4,0.6,0.8),factor=0.5]", "[code] halved every 200,000 updates")
        init: str = param("orthonormal", "[code]: orthogonal")
        layers: int = param(0, "[code] 15 for gray pictures, 12 for colour")
        width: int = param(0, "[code] 64 for gray pictures, 96 for colour")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.layers == 1 or min(self.layers, self.width) < 0:
                raise ValueError(f"layers must be >= 2 and width >= 1, or 0, not {self.layers} and {self.width}")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        layers, width = (15, 64) if task.channels == 1 else (12, 96)
        self.G = _Network(task.channels, self.hp.layers or layers, self.hp.width or width)
        self.opt = self.optimizer(self.G)

    def loss(self, batch: Batch) -> Tensor:
        """L1 [code]; the paper: half the squared error."""
        return (self.G(batch.observed, batch.sigma) - batch.truth).abs().mean()

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return self.G(batch.observed, batch.sigma).clamp(0, 1)


class _Network(nn.Module):
    """N x C x H x W and the level on [0, 1] to the clean picture: convolutions 3 x 3 and ReLU at half the size."""

    def __init__(self, channels: int, layers: int, width: int) -> None:
        super().__init__()
        middle = [layer for _ in range(layers - 2) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
        first, last = nn.Conv2d(4 * channels + 1, width, 3, padding=1), nn.Conv2d(width, 4 * channels, 3, padding=1)
        self.model = nn.Sequential(first, nn.ReLU(), *middle, last)

    @override
    def forward(self, x: Tensor, sigma: float) -> Tensor:
        h, w = x.shape[-2:]
        quarters = F.pixel_unshuffle(F.pad(x, (0, w % 2, 0, h % 2), mode="replicate"), 2)
        level = torch.full_like(quarters[:, :1], sigma)
        return F.pixel_shuffle(self.model(torch.cat([quarters, level], 1)), 2)[..., :h, :w]
