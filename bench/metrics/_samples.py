"""What metrics of sample sets share: the feature network they look through, and distances in blocks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.feature import Features
from bench.metric import SampleMetric

_BLOCK = 1 << 23  # numbers in a block of distances: 64 MiB


Net = Annotated[str, "the feature network that samples are compared in (`runner.py list`: feature)"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureMetric(SampleMetric):
    """Base of the metrics that compare samples in the features of `net`, which stands on the card with its hash."""

    net: Net = "digits_cnn"

    @override
    def require(self) -> None:
        self.network.require()

    @override
    def protocol(self) -> dict[str, Any]:
        return {"net": self.network.protocol()}

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("feature", self.net)]

    @functools.cached_property
    def network(self) -> Features:
        """The feature network."""
        network = registry.make("feature", self.net)
        assert isinstance(network, Features)
        return network

    def features(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Both sets in features: n x d and m x d, float64."""
        network = self.network.fit(real)
        return network(fake).double(), network(real).double()


def squared_distances(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances between the rows of n x d and m x d float64, a block of rows of `a` at a time: (rows, k x m).

    In few dimensions directly; else by one product, after a shift towards the mean, whose error is 1e-15 of the squared size of the rows.
    Equal distances come out equal where they decide who lies in a ball: between rows of whole numbers, or of multiples of 1/255 as pictures
    hold them, everything on the way is a whole number.
    """
    levels = 255 if all(_are_levels(x) for x in (a, b)) else 1
    a, b = (x if levels == 1 else (x * levels).round() for x in (a, b))
    shift = _near_mean(b)
    b = b - shift
    norms = b.square().sum(1)
    for start in range(0, len(a), step := max(1, _BLOCK // len(b))):
        rows = slice(start, min(start + step, len(a)))
        block = a[rows] - shift
        if a.shape[1] <= 16:
            yield rows, torch.cdist(block, b, compute_mode="donot_use_mm_for_euclid_dist").square_().div_(levels**2)
        else:
            yield rows, torch.addmm(norms, block, b.T, alpha=-2).add_(block.square().sum(1, keepdim=True)).clamp_(min=0).div_(levels**2)


def _are_levels(x: Tensor) -> bool:
    """Whether all are multiples of 1/255, as float32 holds them."""
    return bool(((x * 255 - (x * 255).round()).abs() < 1e-4).all())


def _near_mean(x: Tensor) -> Tensor:
    """The mean of each of d columns, rounded to a power of two not below the column's range: a shift by it keeps whole numbers whole."""
    span = x.amax(0) - x.amin(0)
    grid = torch.where(span > 0, span, 1.0).log2().ceil().exp2()
    return torch.where(span > 0, (x.mean(0) / grid).round() * grid, x[0])


def drop_self(rows: slice, distances: Tensor) -> Tensor:
    """A block of distances of a set to itself, in which nothing is its own neighbour (changed in place)."""
    distances[:, rows].fill_diagonal_(float("inf"))
    return distances
