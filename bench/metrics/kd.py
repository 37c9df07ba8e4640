"""Kernel distance in the features of a named network: the formula of Binkowski et al. (ICLR 2018, arXiv 1801.01401)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metrics._kernel import cubic, cubic_diagonal, mean_between, mean_within
from bench.metrics._samples import FeatureMetric
from bench.remember import remember


@dataclasses.dataclass(frozen=True, kw_only=True)
class KD(FeatureMetric):
    """Unbiased squared MMD with the kernel (x.y/d + 1)^3 over all pairs: no subsets, so no sampling noise.

    About 0, also below, for equal laws.
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = (
        "unbiased squared maximum mean discrepancy, kernel (x.y/d + 1)^3, all pairs (formula of Binkowski et al. 2018)"
    )

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "arithmetic": "float64, all pairs"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        a, b = self.features(fake, real)
        among_real = remember(real, self, lambda: mean_within(cubic, b, cubic_diagonal(b)))
        return {"kd": mean_within(cubic, a, cubic_diagonal(a)) + among_real - 2 * mean_between(cubic, a, b)}
