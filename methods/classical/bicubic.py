"""Bicubic interpolation: the baseline of every table on super-resolution.

R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981; with a = -1/2 as in MATLAB's `imresize`.

| source | here |
|---|---|
| Eq. 15, the kernel | `bench.operators.resize` |

Departures: none. torch's and OpenCV's own bicubic has a = -0.75: another, sharper picture.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Method
from bench.offers import Capability, EnlargementTask
from bench.operators.resize import enlarge


class Bicubic(Method[EnlargementTask]):
    """Cubic convolution over 4 x 4 pixels."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})

    @override
    def build(self, task: EnlargementTask) -> None:
        self.scale = task.scale

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W to N x C x scale H x scale W in [0, 1]."""
        return enlarge(batch.observed, self.scale).clamp(0, 1)
