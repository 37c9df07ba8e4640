"""Structural similarity of Wang, Bovik, Sheikh and Simoncelli (IEEE TIP 2004)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.metrics._windows import gaussian, similarity
from bench.operators.images import Border, Channel, Quantize, prepare_pair
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSIM(ImageMetric):
    """Mean structural similarity. The default is the paper's, and scikit-image's with `gaussian_weights` and population covariance."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    title: ClassVar[str] = "SSIM"
    definition: ClassVar[str] = "mean structural similarity, K = (0.01, 0.03) (Wang et al. 2004)"

    channel: Channel = "rgb"
    border: Border = 0
    quantize: Quantize = "round"
    window: Literal["gauss11", "uniform7"] = param(
        "gauss11", "weights of a window: a Gaussian of 11 x 11 pixels, sigma 1.5, or the mean of 7 x 7"
    )
    boundary: Literal["valid", "reflect", "zero"] = param(
        "valid", "whole windows only, or windows over a border padded by mirroring or by zeros"
    )
    cov: Literal["pop", "sample"] = param("pop", "covariances over n (population) or n - 1 (sample)")

    @override
    def protocol(self) -> dict[str, Any]:
        return {"data_range": 1.0, "clipped": self.quantize is not None}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        taps = gaussian() if self.window == "gauss11" else torch.full((7,), 1 / 7, dtype=torch.float64, device="cpu")
        a, b = prepare_pair(x_hat, x, channel=self.channel, border=self.border, quantize=self.quantize, smallest=len(taps))
        if self.boundary != "valid":
            half = len(taps) // 2
            mode = "reflect" if self.boundary == "reflect" else "constant"
            a, b = (torch.nn.functional.pad(image, [half] * 4, mode=mode) for image in (a, b))
        samples = len(taps) ** 2
        ssim, _ = similarity(a, b, taps, samples / (samples - 1) if self.cov == "sample" else 1.0)
        return ssim.mean(1)
