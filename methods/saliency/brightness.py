"""The picture's own brightness as its saliency map: what a score gives for nothing;
and a map that is given as a picture is handed on unchanged.

Departures: none.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from bench.method import Batch, Method
from bench.offers import Capability, SaliencyTask


class Brightness(Method[SaliencyTask]):
    """Mean over the colours. With `data="sod[pictures=pred_DSS]"` the published predictions are judged so."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency"})

    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1]."""
        return batch.observed.mean(1, keepdim=True)
