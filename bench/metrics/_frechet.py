"""The Frechet distance of two Gaussians, from samples."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._samples import FeatureMetric
from bench.remember import remember

Moments = tuple[Tensor, Tensor]


def frechet(a: Tensor, b: Tensor) -> Tensor:
    """|mu_a - mu_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2) of the Gaussians fitted to rows n x d and m x d; covariances over n - 1.

    With S = F'F the last trace is the nuclear norm of F_a F_b' (the singular values of F_a F_b' are the roots of the eigenvalues of S_a
    S_b): no root of a matrix is taken, a singular covariance costs no digits, and a set is exactly 0 from itself.
    """
    return distance(moments(a), moments(b))


def distance(a: Moments, b: Moments) -> Tensor:
    """`frechet` from moments of both."""
    trace = torch.linalg.svdvals(a[1] @ b[1].T).sum()
    squared: Tensor = (a[0] - b[0]).square().sum() + a[1].square().sum() + b[1].square().sum() - 2 * trace
    return squared.clamp(min=0)


def moments(x: Tensor) -> Moments:
    """Mean, d, and a factor F of the covariance, min(n, d) x d."""
    mean = x.mean(0)
    centred = (x - mean) / (len(x) - 1) ** 0.5
    return mean, centred if len(x) <= x.shape[1] else torch.linalg.qr(centred, mode="r").R


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrechetMetric(FeatureMetric):
    """Base of `fd` and `fid`."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "covariance": "n - 1", "arithmetic": "float64, nuclear norm of covariance factors"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        a, b = self.features(fake, real)
        return {self._name: distance(moments(a), remember(real, (self, "moments"), lambda: moments(b)))}
