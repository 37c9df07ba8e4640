"""Sliced Wasserstein distance: Rabin, Peyre, Delon and Bernot (SSVM 2011); Bonneel et al. (JMIV 2015)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._samples import FeatureMetric, Net
from bench.remember import remember
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlicedWasserstein(FeatureMetric):
    """The p-th root of the mean p-th power of Wasserstein distances along fixed random directions; exact for sets of unequal sizes."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "sliced Wasserstein distance of order p along fixed random directions (Rabin et al. 2011)"

    net: Net = "pixels"
    order: Literal[1, 2] = param(1, "the power of the distances that is averaged; the root is taken of the mean")
    directions: int = param(512, "random lines that the samples are projected on")
    seed: int = param(0, "of the directions")

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise ValueError(f"directions must be >= 1, not {self.directions}")

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        a, b = self.features(fake, real)
        rng = torch.Generator().manual_seed(self.seed)
        axes = torch.randn(self.directions, a.shape[1], generator=rng, dtype=torch.float64)
        axes = (axes / axes.norm(dim=1, keepdim=True)).to(a.device)
        along = remember(real, self, lambda: _ascending(axes @ b.T))
        blocks = zip(torch.split(axes, 64), torch.split(along, 64), strict=True)
        powers = [_wasserstein(_ascending(some @ a.T), of_real, self.order) for some, of_real in blocks]
        return {"sliced_wasserstein": torch.cat(powers).mean() ** (1 / self.order)}


def _ascending(rows: Tensor) -> Tensor:
    """Each row sorted; on the CPU by NumPy, which takes a tenth of torch's time."""
    return torch.from_numpy(np.sort(rows.numpy(), axis=1)) if rows.device.type == "cpu" else rows.sort(1).values


def _wasserstein(a: Tensor, b: Tensor, p: int) -> Tensor:
    """W_p^p of the sorted rows of s x n and s x m: the integral over u of the distance of quantiles, s."""
    n, m = a.shape[1], b.shape[1]
    if n == m:
        return (a - b).abs().pow(p).mean(1)
    steps = (
        torch.cat((torch.arange(1, n + 1, device=a.device) * m, torch.arange(1, m + 1, device=a.device) * n)).sort().values
    )  # times 1 / nm
    widths = steps.diff(prepend=steps.new_zeros(1)).double() / (n * m)
    i, j = ((steps - 1).div(side, rounding_mode="floor") for side in (m, n))  # the quantiles just below each step
    return (a[:, i] - b[:, j]).abs().pow(p) @ widths
