"""Lanczos interpolation: a windowed sinc, sharper than bicubic, with more ringing.

C. E. Duchon, "Lanczos filtering in one and two dimensions", J. Appl. Meteorology 18(8), 1979; three lobes as in MATLAB's `imresize`.

| source | here |
|---|---|
| sinc(x) sinc(x / 3), abs(x) < 3 | `bench.operators.resize` |

Departures: weights are made to sum to 1, as everywhere.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Method
from bench.offers import Capability, EnlargementTask
from bench.operators.resize import enlarge


class Lanczos(Method[EnlargementTask]):
    """Windowed sinc over 6 x 6 pixels."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})

    @override
    def build(self, task: EnlargementTask) -> None:
        self.scale = task.scale

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W to N x C x scale H x scale W in [0, 1]."""
        return enlarge(batch.observed, self.scale, "lanczos3").clamp(0, 1)
