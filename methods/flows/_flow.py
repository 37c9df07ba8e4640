"""What methods share that learn by regression how noise becomes a sample: their network, scale and averages of weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Logs, Method, Samples, TrainHP, param
from bench.offers import GenerationTask
from methods.averages import Average, averaged, follow
from methods.networks.timed import timed_network
from methods.procedures import clip_gradients, regress


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowHP(TrainHP):
    """The values that both papers' code for CIFAR-10 shares; a file says where its own differ."""

    steps: int = param(400_000, "[code] updates")
    batch_size: int = param(128, "[code]")
    optimizer: str = param("adam[lr=2e-4]", "[code]")
    schedule: str = param("warmup[share=0.0125]", "[code] over the first 5,000 updates")
    clip: float = param(1.0, "[code] longest gradient; a longer one is shortened")
    ema: float = param(0.9999, "[code] samples come from an average of the weights with this decay an update")
    width: int = param(128, "[code] channels of the U-Net's first level, a multiple of 8; a quarter of the units of a layer for points")
    levels: int = param(4, "[code] resolutions of the U-Net; hidden layers for points")
    dropout: float = param(0.1, "[code] in the U-Net's blocks")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 8 or self.width % 8 or self.levels < 1 or not 0 <= self.ema < 1:
            raise ValueError(f"width must be a multiple of 8, levels >= 1, ema in [0, 1), not {self.width}, {self.levels}, {self.ema}")


class Flow(Method[GenerationTask]):
    """Base of both. A subclass defines `loss`, on samples as the network sees them, and `flow` from noise to samples."""

    toy: ClassVar[dict[str, Any]] = {"width": 8, "levels": 2, "sampling": 3, "schedule": "constant"}
    hp: Any  # a subclass has its own

    @override
    def build(self, task: GenerationTask) -> None:
        self.G: nn.Module = timed_network(task.shape, self.hp.width, self.hp.levels, self.hp.dropout)
        self.opt = self.optimizer(self.G)
        self.average: Average = {}
        self.scale = torch.ones(())  # of points
        clip_gradients(self.opt, self.hp.clip)
        self.opt.register_step_post_hook(lambda *_: follow(self.average, self.G, self.hp.ema))

    @override
    def prepare(self, data: Iterator[Samples]) -> None:
        """Points are divided by their root mean square, so that they are as large as the noise."""
        if len(self.task.shape) == 1:
            self.scale = next(data).x.square().mean().sqrt()

    def loss(self, x: Tensor) -> Tensor:
        """A scalar of N x shape in the network's numbers."""
        raise NotImplementedError

    def flow(self, z: Tensor) -> Tensor:
        """N(0, 1) noise, N x shape, to samples in the network's numbers."""
        raise NotImplementedError

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from regress(self, data, lambda batch: self.loss(self.inside(batch.x)), self.hp.steps)

    def inside(self, x: Tensor) -> Tensor:
        """Samples as the network sees them: pictures in [-1, 1], points of unit size."""
        return 2 * x - 1 if x.dim() == 4 else x / self.scale

    def z(self, n: int) -> Tensor:
        """Noise: n x shape, N(0, 1)."""
        return torch.randn(n, *self.task.shape, device=self.device)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """N samples: n x d, or n x C x H x W in [0, 1]."""
        with averaged(self.G, self.average):
            x = self.flow(self.z(n))
        return (x.clamp(-1, 1) + 1) / 2 if x.dim() == 4 else x * self.scale
