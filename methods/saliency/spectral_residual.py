"""Saliency Detection: A Spectral Residual Approach.

Hou, Zhang. CVPR 2007.

| paper                                               | here       |
|-----------------------------------------------------|------------|
| Sec. 3.2: log spectrum less its 3 x 3 mean (Eq. 3)  | `_residual`|
| Eq. 4: squared inverse transform, smoothed          | `restore`  |

As in the authors' code: the gray picture is shrunk to a width of 64, the result smoothed by a Gaussian of 2.5 pixels (the paper prints 8).
Departures: the spectrum is averaged around its ends, where the code repeats its border; the Gaussian is as wide as it needs, not 10 pixels;
gray is the mean of the colours (the code: luma).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import Capability, SaliencyTask
from methods.saliency._maps import gray, smooth, stretched


class SpectralResidual(Method[SaliencyTask]):
    """What the spectrum of a picture has beyond the smooth one that all pictures share."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """The values of the authors' code."""

        width: int = param(64, "Sec. 3.3: pixels to which the picture is shrunk")
        sigma: float = param(2.5, "[code] deviation of the smoothing, in pixels of the shrunk picture")

        def __post_init__(self) -> None:
            if self.width < 8 or self.sigma <= 0:
                raise ValueError(f"width must be >= 8 and sigma > 0, not {self.width} and {self.sigma}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1], any size."""
        x = gray(batch.observed)
        height, width = x.shape[-2:]
        size = max(8, round(height * self.hp.width / width)), self.hp.width
        small = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        saliency = smooth(_residual(small), self.hp.sigma)
        return stretched(F.interpolate(saliency, (height, width), mode="bilinear", antialias=True, align_corners=False))


def _residual(x: Tensor) -> Tensor:
    """Eqs. 3 and 4 before smoothing: the picture whose spectrum has the residual amplitude and the phase of x; squared."""
    spectrum = torch.fft.fft2(x)
    log = spectrum.abs().clamp_min(torch.finfo(x.dtype).tiny).log()
    mean = F.avg_pool2d(F.pad(log, (1, 1, 1, 1), mode="circular"), 3, stride=1)
    return torch.fft.ifft2(torch.polar((log - mean).exp(), spectrum.angle())).abs().square()
