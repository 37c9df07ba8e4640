"""Multi-scale SSIM as the metrix toolbox computes it ("MSSIM"): what the Koehler deblurring benchmark reports."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.metrics._windows import C1, C2, MS_WEIGHTS, gaussian, moments
from bench.operators.images import Border, Channel, Quantize, prepare_pair
from bench.operators.transfer import constant

# analysis low-pass filter of the biorthogonal 9/7 wavelet (Cohen, Daubechies, Feauveau 1992)
_HALF = (0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830)
_LOW_PASS = (*_HALF, 0.852698679008890, *_HALF[::-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class MSSSIMWavelet(ImageMetric):
    """Means of contrast and of structure at five scales, and of luminance at the last, each to its power, multiplied."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    title: ClassVar[str] = "MS-SSIM-wavelet"
    definition: ClassVar[str] = (
        "multi-scale SSIM of the metrix toolbox: 9/7-wavelet low-pass, mirrored border, separate means of l, c and s"
    )

    channel: Channel = "y601_full"
    border: Border = 0
    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"data_range": 1.0, "clipped": self.quantize is not None, "weights": MS_WEIGHTS, "negative": "a negative mean counts as 0"}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, channel=self.channel, border=self.border, quantize=self.quantize, smallest=161)
        score = a.new_ones(a.shape[:2])
        for scale, weight in enumerate(MS_WEIGHTS):
            if scale:
                a, b = _halve(a), _halve(b)
            luminance, contrast, structure = _terms(a, b)
            score = score * (contrast * structure).clamp_min(0) ** weight
        return (score * luminance ** MS_WEIGHTS[-1]).mean(1)


def _terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means of luminance, contrast and structure over the valid region, N x C each."""
    (mx, xx), (my, yy), xy = _statistics(x, x), _statistics(y, y), _statistics(x, y)[1]
    deviations = (xx.clamp_min(0) * yy.clamp_min(0)).sqrt()
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    contrast = (2 * deviations + C2) / (xx + yy + C2)
    structure = (xy + C2 / 2) / (deviations + C2 / 2)
    return luminance.mean((-1, -2)), contrast.mean((-1, -2)), structure.mean((-1, -2))


def _statistics(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Windowed mean of x and covariance of x and y."""
    sums = torch.cat([strip for _, strip in moments(x, y, gaussian())], dim=-2)
    return sums[0], sums[3] - sums[0] * sums[1]


def _halve(x: Tensor) -> Tensor:
    """Low-pass with a mirrored border (the edge pixel repeats), then every second pixel from the first on."""
    taps = constant(_LOW_PASS, x)
    for axis in (-1, -2):
        length = x.shape[axis]
        index = torch.arange(-4, length + 4, device=x.device)
        index = torch.where(index < 0, -1 - index, torch.where(index >= length, 2 * length - 1 - index, index))
        x = (x.index_select(axis, index).unfold(axis, 9, 2) * (taps / taps.sum())).sum(-1)
    return x
