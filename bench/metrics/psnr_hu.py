"""Peak signal-to-noise ratio of CT slices within a window of Hounsfield units."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.metrics.psnr import PSNR
from bench.operators import ct


@dataclasses.dataclass(frozen=True, kw_only=True)
class PSNRHU(ImageMetric):
    """`psnr` after clipping to the window, whose width is the data range; nothing is rounded.

    Pictures on [0, 1] hold HU as `bench.operators.ct` says.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "dB"
    ceiling: ClassVar[float] = PSNR.ceiling
    title: ClassVar[str] = "PSNR-hu"
    definition: ClassVar[str] = "peak signal-to-noise ratio of each slice clipped to a window of HU, 10 log10(width^2 / MSE)"

    window: ct.Window = "abdomen"

    @override
    def protocol(self) -> dict[str, Any]:
        low, high = ct.WINDOWS[self.window]
        return {"low_hu": low, "high_hu": high, "data_range_hu": high - low, "quantize": None}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return PSNR(quantize=None).score(ct.clip_to_window(x_hat, self.window), ct.clip_to_window(x, self.window))
