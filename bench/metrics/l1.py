"""Mean absolute error."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.operators.images import Border, Channel, Quantize, prepare_pair


@dataclasses.dataclass(frozen=True, kw_only=True)
class L1(ImageMetric):
    """Mean of |restored - truth| an image, on [0, 1]."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "mean absolute error of each image on [0, 1]"

    channel: Channel = "rgb"
    border: Border = 0
    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"data_range": 1.0, "clipped": self.quantize is not None}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, channel=self.channel, border=self.border, quantize=self.quantize)
        return (a - b).abs().mean((-1, -2, -3))
