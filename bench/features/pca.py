"""Principal components of the real samples (Pearson 1901): a feature space without a network, small enough for a full-rank covariance."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.feature import Features
from bench.features.pixels import Pixels
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class PCA(Features):
    """Coordinates along the `k` directions in which the real samples vary most, about their mean. To be `fit` before use."""

    k: int = param(64, "directions kept; fewer where the real samples span fewer")

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, not {self.k}")

    @override
    def __call__(self, x: Tensor) -> Tensor:
        """Always raise UsageError: what `fit` returns knows the directions."""
        raise UsageError("pca has no directions yet: call pca.fit(real) and use what it returns")

    @override
    def fit(self, real: Tensor) -> Features:
        """Find the directions of these samples: `k`, or as many as they span."""
        x = Pixels()(real).double()
        mean = x.mean(0)
        return _Coordinates(mean=mean, directions=torch.linalg.svd(x - mean, full_matrices=False).Vh[: min(self.k, len(x) - 1)])

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "directions": "of the real samples"}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Coordinates(Features):
    mean: Tensor  # d
    directions: Tensor  # k x d

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return ((Pixels()(x).double() - self.mean) @ self.directions.T).float()
