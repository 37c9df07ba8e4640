"""What SRGAN's two VGG losses share."""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from bench.spec import param
from methods.losses.content.perceptual import Perceptual


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaledVGG(Perceptual):
    """Distance of features divided by 12.75, which puts them on the scale of pixels (Sec. 3.2). Siblings say which layer.

    Images N x 3 x H x W, RGB in [-1, 1], normalised as VGG wants them. Options as of `perceptual`; without weights only `net=random_vgg19`
    works.
    """

    normalize: bool = param(True, "subtract ImageNet's mean and divide by its deviation")

    @override
    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return super().__call__(x_hat, x) / 12.75**2
