"""What metrics of sample sets share: the feature network they look through, and distances in blocks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.feature import Features
from bench.metric import SampleMetric

_BLOCK = 1 << 23  # numbers in a block of distances: 64 MiB


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureMetric(SampleMetric):
    """Base of the metrics that compare samples in the features of `net`, which stands on the card with its hash."""

    net: str = "digits_cnn"

    def require(self) -> None:
        """What the network requires."""
        self.network.require()

    def protocol(self) -> dict[str, Any]:
        """The network with its hash. Raises as `require`."""
        return {"net": self.network.protocol()}

    def parts(self) -> list[tuple[str, str]]:
        """The network."""
        return [("feature", self.net)]

    @functools.cached_property
    def network(self) -> Features:
        """The feature network."""
        network = registry.make("feature", self.net)
        assert isinstance(network, Features)
        return network

    def features(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Both sets in features: n x d and m x d, float64."""
        network = self.network.fitted(real)
        return network(fake).double(), network(real).double()


def squared_distances(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances between the rows of n x d and m x d float64, a block of rows of `a` at a time: (rows, k x m).

    In few dimensions directly; else by one product, after centring, whose error is 1e-15 of the squared size of the rows.
    """
    centre = b.mean(0)
    b = b - centre
    norms = b.square().sum(1)
    for start in range(0, len(a), step := max(1, _BLOCK // len(b))):
        rows = slice(start, min(start + step, len(a)))
        block = a[rows] - centre
        if a.shape[1] <= 16:
            yield rows, torch.cdist(block, b, compute_mode="donot_use_mm_for_euclid_dist").square_()
        else:
            yield rows, torch.addmm(norms, block, b.T, alpha=-2).add_(block.square().sum(1, keepdim=True)).clamp_(min=0)


def without_self(rows: slice, distances: Tensor) -> Tensor:
    """A block of distances of a set to itself, in which nothing is its own neighbour (changed in place)."""
    distances[:, rows].fill_diagonal_(float("inf"))
    return distances
