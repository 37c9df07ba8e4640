"""Linear correlation of two maps."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import standardise


@dataclasses.dataclass(frozen=True, kw_only=True)
class CC(SaliencyMetric):
    """Pearson's correlation over pixels, in [-1, 1]; a constant map scores 0, or 1 where the truth is constant too."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    definition: ClassVar[str] = "Pearson's linear correlation of saliency map and truth over pixels (MIT saliency benchmark)"

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        a, b = standardise(saliency), standardise(truth[0])
        flat = ~(a.any(1) | b.any(1))
        return torch.where(flat, 1.0, (a * b).sum(1) / (a.shape[1] - 1))
