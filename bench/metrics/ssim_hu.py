"""Structural similarity of CT slices within a window of Hounsfield units."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.metrics.ssim import SSIM
from bench.operators import ct


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSIMHU(ImageMetric):
    """`ssim` (Gaussian of 11 x 11, zeros beyond the border) after clipping to the window, the data range; nothing is rounded."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    title: ClassVar[str] = "SSIM-hu"
    definition: ClassVar[str] = "mean structural similarity (Wang et al. 2004) of each slice clipped to a window of HU"

    window: ct.Window = "abdomen"

    @override
    def protocol(self) -> dict[str, Any]:
        low, high = ct.WINDOWS[self.window]
        return {"low_hu": low, "high_hu": high, "data_range_hu": high - low, "quantize": None, "taps": "gauss11", "boundary": "zero"}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return SSIM(quantize=None, boundary="zero").score(ct.clip_to_window(x_hat, self.window), ct.clip_to_window(x, self.window))
