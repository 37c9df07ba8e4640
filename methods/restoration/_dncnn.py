"""The network of DnCNN, its hyper-parameters and its loss."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, TrainHP, param


@dataclasses.dataclass(frozen=True, kw_only=True)
class DnCNNHP(TrainHP):
    """The paper's values; [code] where only the authors' code states them."""

    steps: int = param(100_000, "[code] 50 epochs of 2000 batches")
    batch_size: int = param(128, "[code]")
    optimizer: str = param("adam[lr=1e-3]", "[code] update rule of the denoiser")
    schedule: str = param("step[at=0.6,factor=0.1]", "[code] a tenth after 30 of 50 epochs")
    init: str = param("he", "Sec. III: He et al.")
    layers: int = param(17, "Sec. III-A: 17 for one level, 20 for a range")
    width: int = param(64, "Sec. III-A: channels")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 2 or self.width < 1:
            raise ValueError(f"layers must be >= 2 and width >= 1, not {self.layers} and {self.width}")


class DnCNNNetwork(nn.Sequential):
    """The noise in N x C x H x W: convolutions 3 x 3 with zero padding and ReLU, batch norm in the middle layers.
    Receptive field 2 layers + 1.

    Without `norm` the middle convolutions have biases instead: what a trained network becomes when its norms are merged into them.
    """

    def __init__(self, channels: int = 1, layers: int = 17, width: int = 64, norm: bool = True) -> None:
        def unit() -> list[nn.Module]:
            return [nn.Conv2d(width, width, 3, padding=1, bias=not norm), *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU()]

        middle = [layer for _ in range(layers - 2) for layer in unit()]
        super().__init__(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), *middle, nn.Conv2d(width, channels, 3, padding=1))


def residual_loss(network: nn.Module, observed: Tensor, clean: Tensor) -> Tensor:
    """Eq. 1 of the paper: sum of |R(y) - (y - x)|^2 over pixels and channels, over 2 N; a scalar."""
    return (network(observed) - (observed - clean)).square().sum() / (2 * len(observed))


def denoise(network: nn.Module, batch: Batch) -> Tensor:
    """Y - R(y), clipped to [0, 1]."""
    return (batch.observed - network(batch.observed)).clamp(0, 1)
