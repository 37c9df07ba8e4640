"""Information gain over a baseline.

Kuemmerer, Wallis, Bethge, "Information-theoretic model comparison unifies saliency metrics", PNAS 2015.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import EPS, rise, values_at


@dataclasses.dataclass(frozen=True, kw_only=True)
class InformationGain(SaliencyMetric):
    """Bits a fixation that the map saves over a baseline which has not seen the picture."""

    reads: ClassVar[tuple[str, ...]] = ("fixations", "baseline")
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "bit"
    definition: ClassVar[str] = (
        "mean at the fixations of log2(eps + S) - log2(eps + B), both stretched to [0, 1] and then scaled to sum 1; "
        "B is the mean of the training maps (MIT saliency benchmark)"
    )

    @override
    def protocol(self) -> dict[str, Any]:
        return {"eps": EPS, "baseline": "mean training map"}

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        fixations, baseline = truth
        gain = (EPS + rise(saliency)).log2() - (EPS + rise(baseline)).log2()
        return torch.stack([values.mean() for values in values_at(gain, fixations)])
