"""Small pictures as papers on super-resolution make them: MATLAB's `imresize(picture, 1 / scale)`, bicubic, antialiased, on 8 bits.

    the kernel, a = -0.5           -> bench.operators.resize
    uint8 in, uint8 in between     -> `apply`: rows are stored (clipped, halves rounded up) before columns are shrunk

The low-resolution files of Set5 come out to the bit. Without the rounding in between every tenth pixel is one grey level off; with mirrored
borders (newer versions of MATLAB) pixels of the rim are, by up to seven.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from torch import Tensor

from bench.errors import UsageError
from bench.method import param
from bench.operators.resize import Border, weights_for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bicubic:
    """Bicubic shrinking by a whole factor."""

    scale: Literal[2, 3, 4] = param(4, "sides of the large picture over those of the small one")
    border: Border = param("replicate", "how the large picture goes on beyond its edge")

    def crop(self, large: Tensor) -> Tensor:
        """N x C x H x W without the last rows and columns that `scale` does not divide ("modcrop").

        Raises:
            UsageError: nothing is left.
        """
        height, width = (n - n % self.scale for n in large.shape[-2:])
        if not min(height, width):
            raise UsageError(f"a picture of {large.shape[-2]} x {large.shape[-1]} cannot be shrunk by {self.scale}: leave it out")
        return large[..., :height, :width]

    def apply(self, large: Tensor) -> Tensor:
        """Shrink.

        Args:
            large: N x C x H x W, [0, 1], sides divided by `scale` (see `crop`).

        Returns:
            N x C x H / scale x W / scale, whole grey levels of 255, in the type of the input.

        Raises:
            UsageError: a side is no multiple of `scale`.
        """
        height, width = large.shape[-2:]
        if height % self.scale or width % self.scale:
            raise UsageError(f"a picture of {height} x {width} has no whole small version at scale {self.scale}: crop it first")
        levels = large.double() * 255
        down, across = (weights_for(levels, n, n // self.scale, "cubic", self.border) for n in (height, width))
        rows = _stored(down @ levels)
        return (_stored(rows @ across.T) / 255).to(large)


def _stored(levels: Tensor) -> Tensor:
    """As uint8 would hold them; halves go up, and rounding errors of the sums leave them halves."""
    return (levels + 0.5 + 1e-9).floor().clamp(0, 255)
