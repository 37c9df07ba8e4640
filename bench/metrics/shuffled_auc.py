"""Shuffled AUC: the ROC curve against where people look anyway. Zhang, Tong, Marks, Shan, Cottrell, "SUN", Journal of Vision 2008."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import area, stretch
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShuffledAUC(SaliencyMetric):
    """The negatives are fixations on other pictures, so that a map of the centre scores 0.5 however often people look there."""

    reads: ClassVar[tuple[str, ...]] = ("fixations", "others")
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "area under the ROC curve at even thresholds, fixations on 10 other pictures as negatives (MIT saliency benchmark)"
    )

    splits: int = param(100, "draws from the fixations on other pictures, averaged over")
    step: float = param(0.1, "distance of the thresholds on a map stretched to [0, 1]")
    seed: int = param(0, "of these draws")

    def __post_init__(self) -> None:
        if self.splits < 1 or not 0 < self.step <= 1:
            raise ValueError(f"splits must be >= 1 and step in (0, 1], not {self.splits} and {self.step}")

    @override
    def protocol(self) -> dict[str, Any]:
        return {"others": 10}

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        marks = (t.flatten(1) > 0 for t in truth)
        return torch.stack([self._area(s[f], s[o]) for s, f, o in zip(stretch(saliency), *marks, strict=True)])

    def _area(self, positives: Tensor, others: Tensor) -> Tensor:
        """As many of the others as there are fixations, without replacement, in each split."""
        draws = torch.rand(self.splits, len(others), generator=torch.Generator().manual_seed(self.seed))
        chosen = draws.argsort(1)[:, : len(positives)].to(others.device)
        return area(positives, others[chosen], self.step)
