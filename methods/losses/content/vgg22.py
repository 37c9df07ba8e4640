"""Low-level distance in VGG19. Ledig et al. SRGAN. CVPR 2017, arXiv:1609.04802, Eq. 5."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from methods.losses.content.perceptual import Perceptual


@dataclasses.dataclass(frozen=True, kw_only=True)
class VGG22(Perceptual):
    """Features of the second convolution before the second pooling, after its ReLU, divided by 12.75 to be on the scale of pixels.

    Images N x 3 x H x W, RGB in [-1, 1], normalised as VGG wants them. Options as of `perceptual`; without weights only `net=random_vgg19` works.
    """

    layer: int = 8
    normalize: bool = True

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """The distance, a scalar: a mean over places and channels."""
        return super().__call__(x_hat, x) / 12.75**2
