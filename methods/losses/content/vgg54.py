"""High-level distance in VGG19. Ledig et al. SRGAN. CVPR 2017, arXiv:1609.04802, Eq. 5."""

from __future__ import annotations

import dataclasses

from bench.spec import param
from methods.losses.content._vgg import ScaledVGG


@dataclasses.dataclass(frozen=True, kw_only=True)
class VGG54(ScaledVGG):
    """Features of the fourth convolution before the fifth pooling, after its ReLU. See `_vgg.ScaledVGG`."""

    layer: int = param(35, "index of the last layer used, in torchvision's `features`")
