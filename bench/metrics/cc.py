"""Linear correlation of two maps."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import centre


@dataclasses.dataclass(frozen=True, kw_only=True)
class CC(SaliencyMetric):
    """Pearson's correlation over pixels, in [-1, 1]; a constant map scores 0, or 1 where the truth is constant too."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    definition: ClassVar[str] = "Pearson's linear correlation of saliency map and truth over pixels (MIT saliency benchmark)"

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        (a, norm_a), (b, norm_b) = centre(saliency), centre(truth[0])
        norms = norm_a * norm_b
        return torch.where(norms > 0, torch.linalg.vecdot(a, b) / norms, ((norm_a == 0) & (norm_b == 0)).double())
