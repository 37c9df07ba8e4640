"""Kernel Inception distance of Binkowski, Sutherland, Arbel and Gretton (ICLR 2018, arXiv 1801.01401)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._kernel import cubic, cubic_diagonal, weighted_sums
from bench.metrics._samples import FeatureMetric
from bench.remember import remember
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class KID(FeatureMetric):
    """Mean of `kd` over random subsets, drawn as torch-fidelity does: so the order of samples moves it within its sampling noise."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    title: ClassVar[str] = "KID"
    definition: ClassVar[str] = "kernel Inception distance (Binkowski et al. 2018), mean over subsets drawn without replacement"

    net: str = dataclasses.field(default="inception", init=False)
    subsets: int = param(100, "random subsets, averaged over")
    size: int = param(1000, "samples of either kind in a subset")
    seed: int = param(2020, "of the subsets; that of torch-fidelity")

    def __post_init__(self) -> None:
        if self.subsets < 1 or self.size < 2:
            raise ValueError(f"subsets must be >= 1 and size >= 2, not {self.subsets} and {self.size}")

    @property
    @override
    def min_samples(self) -> int:
        return self.size

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        """Return the mean over subsets; their standard deviation as a remark."""
        a, b = self.features(fake, real)
        rng = np.random.RandomState(self.seed)
        drawn = [[rng.choice(len(x), self.size, replace=False) for x in (a, b)] for _ in range(self.subsets)]
        in_a, in_b = (torch.from_numpy(np.stack(rows)).to(a.device) for rows in zip(*drawn, strict=True))
        pairs, each = self.size * (self.size - 1), self.size**2
        among_real = remember(real, (self, len(a)), lambda: _sums(b, b, in_b, in_b) - cubic_diagonal(b)[in_b].sum(1))
        among_fake = _sums(a, a, in_a, in_a) - cubic_diagonal(a)[in_a].sum(1)
        scores = (among_fake + among_real) / pairs - 2 * _sums(a, b, in_a, in_b) / each
        return {"kid": scores.mean(), "kid/std": scores.std(correction=0)}


def _sums(a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor) -> Tensor:
    """The kernel summed over all pairs of each subset: in the way that multiplies fewer rows.

    Args:
        a: n x d.
        b: m x d; `a` itself where subsets meet themselves.
        in_a: rows of each subset, subsets x size.
        in_b: likewise; `in_a` itself.
    """
    if in_a.numel() * in_b.shape[1] < len(a) * len(b):
        ones = a.new_ones(in_a.shape[1], 1)
        chosen = ((x := a[i], x if a is b else b[j]) for i, j in zip(in_a, in_b, strict=True))
        return torch.cat([weighted_sums(cubic, x, y, ones, ones) for x, y in chosen])
    of_a, of_b = (x.new_zeros(len(x), len(rows)).scatter_(0, rows.T, 1.0) for x, rows in ((a, in_a), (b, in_b)))
    return weighted_sums(cubic, a, b, of_a, of_b)
