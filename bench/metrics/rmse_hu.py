"""Root mean squared error of CT slices, in Hounsfield units."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.operators import ct
from bench.operators.images import prepare_pair


@dataclasses.dataclass(frozen=True, kw_only=True)
class RMSEHU(ImageMetric):
    """Root of the mean squared error of a slice after clipping to the window; nothing is rounded."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "HU"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = "root mean squared error of each slice clipped to a window of HU"

    window: ct.Window = "full"

    @override
    def protocol(self) -> dict[str, Any]:
        low, high = ct.WINDOWS[self.window]
        return {"low_hu": low, "high_hu": high, "quantize": None}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        low, high = ct.WINDOWS[self.window]
        a, b = prepare_pair(ct.clip_to_window(x_hat, self.window), ct.clip_to_window(x, self.window), quantize=None)
        return (high - low) * (a - b).square().mean((1, 2, 3)).sqrt()
