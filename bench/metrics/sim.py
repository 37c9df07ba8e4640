"""Similarity: the intersection of two maps as histograms.

Judd, Durand, Torralba, "A benchmark of computational models of saliency", 2012.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import rise


@dataclasses.dataclass(frozen=True, kw_only=True)
class SIM(SaliencyMetric):
    """Sum of the smaller of two distributions, in [0, 1]; a constant map is the uniform one."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = "sum over pixels of min(S, G), both stretched to [0, 1] and then scaled to sum 1 (MIT saliency benchmark)"

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        return torch.minimum(rise(saliency), rise(truth[0])).sum(1)
