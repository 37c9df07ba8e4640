"""Kernel Inception distance of Binkowski, Sutherland, Arbel and Gretton (ICLR 2018, arXiv 1801.01401)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._kernel import polynomial_mmd
from bench.metrics._samples import FeatureMetric
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
        values = []
        for _ in range(self.subsets):
            rows = (torch.from_numpy(rng.choice(len(x), self.size, replace=False)).to(x.device) for x in (a, b))
            values.append(polynomial_mmd(*(x[chosen] for x, chosen in zip((a, b), rows))))
        scores = torch.stack(values)
        return {"kid": scores.mean(), "kid/std": scores.std(correction=0)}
