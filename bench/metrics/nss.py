"""Normalised scanpath saliency.

Peters, Iyer, Itti, Koch, "Components of bottom-up gaze allocation in natural images", Vision Research 2005.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import centre


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSS(SaliencyMetric):
    """How many deviations above its mean the map is where people looked; 0 by chance."""

    reads: ClassVar[tuple[str, ...]] = ("fixations",)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = "mean at the fixations of (S - mean) / sample deviation (MIT saliency benchmark)"

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        centred, norm = centre(saliency)
        looked_at = (truth[0].flatten(1) > 0).double()
        seen = torch.linalg.vecdot(centred, looked_at) / looked_at.sum(1)
        return torch.where(norm > 0, seen / norm * (centred.shape[1] - 1) ** 0.5, 0.0)  # a constant map (MATLAB's NaN) tells nothing
