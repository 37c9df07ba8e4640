"""The residual networks of WGAN-GP (arXiv:1704.00028, App. C), for sides 4 * 2^k (or 7 * 2^k). Pictures in [0, 1]."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from methods.gan._pictures import coarsest
from methods.networks.backbones import Critic


class ResNetGenerator(nn.Module):
    """A projection, one block that doubles the side after another, batch norm, ReLU, 3 x 3 convolution, tanh mapped to [0, 1]."""

    def __init__(self, z_dim: int, shape: tuple[int, ...], dim: int = 128, upsample: str = "nearest") -> None:
        super().__init__()
        side, ups = coarsest(shape)
        self.net = nn.Sequential(
            nn.Linear(z_dim, dim * side**2), nn.Unflatten(1, (dim, side, side)), *(_Up(dim, upsample) for _ in range(ups)),
            nn.BatchNorm2d(dim), nn.ReLU(), nn.Conv2d(dim, shape[0], 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.net(z)
        return (y + 1) / 2


def resnet_critic(shape: tuple[int, ...], dim: int = 128) -> Critic:
    """Two blocks that halve the side, two that keep it, ReLU, the mean over the map, one unit. Nothing is normalised."""
    coarsest(shape)
    body = nn.Sequential(_FirstDown(shape[0], dim), _Down(dim), _Same(dim), _Same(dim), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Critic(body, dim)


class _Up(nn.Module):
    """Upsampling (a mode of torch's `interpolate`) before the first convolution and before the 1 x 1 shortcut."""

    def __init__(self, dim: int, upsample: str) -> None:
        super().__init__()
        self.upsample = upsample
        self.norm1, self.conv1 = nn.BatchNorm2d(dim), nn.Conv2d(dim, dim, 3, padding=1, bias=False)  # a batch norm follows
        self.norm2, self.conv2 = nn.BatchNorm2d(dim), nn.Conv2d(dim, dim, 3, padding=1)
        self.shortcut = nn.Conv2d(dim, dim, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2, mode=self.upsample))
        y = self.conv2(F.relu(self.norm2(y)))
        return y + F.interpolate(self.shortcut(x), scale_factor=2, mode=self.upsample)  # a 1 x 1 convolution commutes with upsampling


class _Same(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(dim, dim, 3, padding=1), nn.Conv2d(dim, dim, 3, padding=1)

    def residual(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(F.relu(self.conv1(F.relu(x))))
        return y

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


class _Down(_Same):
    """The same, averaged over 2 x 2 pixels, with a 1 x 1 shortcut."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.shortcut = nn.Conv2d(dim, dim, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.residual(x) + self.shortcut(x), 2)


class _FirstDown(nn.Module):
    """The critic's first block: pixels are not rectified, and the shortcut averages first."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, dim, 3, padding=1), nn.Conv2d(dim, dim, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, dim, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv2(F.relu(self.conv1(x))), 2) + self.shortcut(F.avg_pool2d(x, 2))
