"""The measurement itself: the row that every other method is measured against.

Departures: none.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from bench.method import Batch, Method


class Identity(Method):
    """Return the observed picture: a gain of exactly nothing."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Nothing to set."""

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W, unchanged."""
        return batch.observed
