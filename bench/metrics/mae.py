"""Mean absolute error of a saliency map. Perazzi, Kraehenbuehl, Pritch, Hornung, "Saliency filters", CVPR 2012."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class MAE(SaliencyMetric):
    """Mean over pixels of abs(S - G), both in [0, 1] as they are."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "mean absolute difference of saliency map and truth (density or mask), both in [0, 1], neither stretched nor rounded"
    )

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        return (saliency - truth[0]).abs().mean((1, 2))
