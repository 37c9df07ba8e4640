"""Nearest neighbour: each pixel becomes a square. The row below which no method of super-resolution should fall.

| source | here |
|---|---|
| y[i, j] = x[i // scale, j // scale] | `restore` |

Departures: none.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Method
from bench.offers import Capability, EnlargementTask


class Nearest(Method[EnlargementTask]):
    """Repeat pixels."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})

    @override
    def build(self, task: EnlargementTask) -> None:
        self.scale = task.scale

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W to N x C x scale H x scale W."""
        return batch.observed.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1)
