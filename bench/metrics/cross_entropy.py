"""How surprising the true classes are under a classifier."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from bench.metric import LabelMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossEntropy(LabelMetric):
    """-log p(label), p the softmax of the logits, in nats."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "nats"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "mean of -log p(label), p the softmax of the logits, without any penalty on weights"

    @override
    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits.double(), labels, reduction="none").cpu()
