"""The measurement itself: the row that every other method is measured against.

Departures: none.
"""

from __future__ import annotations

from torch import Tensor

from bench.method import Batch, Method
from bench.offers import RestorationTask


class Identity(Method[RestorationTask]):
    """Return the observed picture, so that every gain is 0."""

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W, unchanged."""
        return batch.observed
