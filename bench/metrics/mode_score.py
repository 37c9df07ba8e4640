"""Mode score of Che, Li, Jacob, Bengio and Li, "Mode Regularized GANs" (ICLR 2017, arXiv 1612.02136), with a named classifier."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metrics._class_score import divergence, information
from bench.metrics._samples import FeatureMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModeScore(FeatureMetric):
    """`class_score` that also pays for classes in wrong proportion: exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*(y))).

    p* is the classifier's mean over the real samples. (With p* in the first term as well, as a survey prints it, the two divergences
    cancel into the Inception score.)
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = (
        "exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*(y))) of a named classifier, p* over the real samples (Che et al. 2017)"
    )

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        log_p, log_p_real = (self.network.logits(x).double().log_softmax(1) for x in (fake, real))
        return {"mode_score": (information(log_p) - divergence(log_p.exp().mean(0), log_p_real.exp().mean(0))).exp()}
