"""The networks of SRGAN (arXiv:1609.04802, Fig. 4): SRResNet is its generator. The small picture in [0, 1], the large one in [-1, 1]."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from typing_extensions import override

from methods.networks.image_nets import Norm

_STAGES = {2: (2,), 3: (3,), 4: (2, 2)}  # scale -> factors of the sub-pixel layers


class Generator(nn.Module):
    """N x 3 x H x W to N x 3 x scale H x scale W: residual blocks at the small size, sub-pixel convolutions at the end, no tanh."""

    def __init__(self, scale: int = 4, width: int = 64, blocks: int = 16, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(*(_Block(width, norm) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1), norm(width))
        self.leave = nn.Sequential(
            *(m for r in _STAGES[scale] for m in (nn.Conv2d(width, r * r * width, 3, padding=1), nn.PixelShuffle(r), nn.PReLU())),
            nn.Conv2d(width, 3, 9, padding=4),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        a = self.enter(x)
        y: Tensor = self.leave(a + self.body(a))
        return y


class _Block(nn.Module):
    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.net = nn.Sequential(first, norm(width), nn.PReLU(), second, norm(width))

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.net(x)
        return y


class Discriminator(nn.Sequential):
    """N x 3 x crop x crop in [-1, 1] to N raw scores: the paper's sigmoid is the loss's business.
    Strides 1 and 2 in turn, two dense layers.
    """

    def __init__(self, crop: int = 96, width: int = 64) -> None:
        widths = [width * k for k in (1, 1, 2, 2, 4, 4, 8, 8)]
        units = [
            m for n, (i, o) in enumerate(pairwise(widths))
            for m in (nn.Conv2d(i, o, 3, stride=2 - n % 2, padding=1), nn.BatchNorm2d(o), nn.LeakyReLU(0.2))
        ]  # fmt: skip
        side = -(-crop // 16)  # halved four times, rounded up
        super().__init__(
            nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2), *units, nn.Flatten(),
            nn.Linear(8 * width * side**2, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1), nn.Flatten(0),
        )  # fmt: skip
