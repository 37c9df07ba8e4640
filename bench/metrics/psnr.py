"""Peak signal-to-noise ratio."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.operators.images import Border, Channel, Quantize, prepare_pair
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class PSNR(ImageMetric):
    """10 log10(1 / MSE) an image; inf for identical images (excluded from means and counted by the tables)."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "dB"
    ceiling: ClassVar[float] = 100.0  # of 8 bits, one value that is one level off in 150,000
    title: ClassVar[str] = "PSNR"
    definition: ClassVar[str] = "peak signal-to-noise ratio of each image, 10 log10(1 / MSE)"

    channel: Channel = "rgb"
    border: Border = 0
    quantize: Quantize = "round"
    reduce: Literal["joint", "per_channel"] = param(
        "joint", "one mean squared error over all channels, or the mean of each channel's own PSNR"
    )

    @override
    def protocol(self) -> dict[str, Any]:
        return {"data_range": 1.0, "clipped": self.quantize is not None}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, channel=self.channel, border=self.border, quantize=self.quantize)
        over = (-1, -2) if self.reduce == "per_channel" else (-1, -2, -3)
        mse: Tensor = torch.linalg.vector_norm(a - b, dim=over).square() / math.prod(a.shape[i] for i in over)
        return (-10 * mse.log10()).flatten(1).mean(1) if mse.ndim == 2 else -10 * mse.log10()
