"""The formula of the Inception score (Salimans et al., NIPS 2016, arXiv 1606.03498, Sec. 4) with a named classifier."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metrics._class_score import class_score
from bench.metrics._samples import FeatureMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassScore(FeatureMetric):
    """exp of the mean divergence of p(y|x) from p(y) over all samples: 1 for noise or one class, K for K certain, equally frequent ones.

    The score of the real samples is a remark: a good generator reaches it, not K.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (1.0, math.inf)
    definition: ClassVar[str] = "exp E KL(p(y|x) || p(y)) of a named classifier, all samples at once (formula of Salimans et al. 2016)"

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "splits": 1, "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        scores = [class_score(self.network.logits(x).double().log_softmax(1)) for x in (fake, real)]
        return {"class_score": scores[0], "class_score/real": scores[1]}
