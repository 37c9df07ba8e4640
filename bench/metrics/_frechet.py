"""The Frechet distance of two Gaussians, from samples."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._samples import FeatureMetric


def frechet(a: Tensor, b: Tensor) -> Tensor:
    """|mu_a - mu_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2) of the Gaussians fitted to rows n x d and m x d; covariances over n - 1.

    With S = F'F the last trace is the nuclear norm of F_a F_b' (the singular values of F_a F_b' are the roots of the eigenvalues of S_a
    S_b): no root of a matrix is taken, a singular covariance costs no digits, and a set is exactly 0 from itself.
    """
    means, factors = zip(*map(_moments, (a, b)))
    trace = torch.linalg.svdvals(factors[0] @ factors[1].T).sum()
    distance: Tensor = (means[0] - means[1]).square().sum() + factors[0].square().sum() + factors[1].square().sum() - 2 * trace
    return distance.clamp(min=0)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
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
        return {self._name: frechet(*self.features(fake, real))}
