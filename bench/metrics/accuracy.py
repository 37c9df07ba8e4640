"""How often the likeliest class is the true one."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import LabelMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy(LabelMetric):
    """1 where the largest logit is that of the label, else 0."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = "share of examples whose label has the largest logit; the first of equal ones counts"

    @override
    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Score 1 or 0 an example; nan where one of its logits is nan."""
        return torch.where(logits.isnan().any(1), math.nan, (logits.argmax(1) == labels).double()).cpu()
