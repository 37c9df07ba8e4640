"""SSIM as the daala video codec's tools compute it: what SRGAN's tables hold."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.metrics._windows import C1, C2, moments
from bench.operators.images import Border, Channel, Quantize, prepare_pair


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSIMDaala(ImageMetric):
    """Integer Gaussian that grows with the image height, renormalised and weighted at the border (daala `dump_ssim`)."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    title: ClassVar[str] = "SSIM-daala"
    definition: ClassVar[str] = "daala's SSIM: Gaussian of sigma 1.5 H / 256 with integer taps, cut off and renormalised at the border"

    channel: Channel = "y601_uint8"
    border: Border = 0
    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"data_range": 1.0}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, channel=self.channel, border=self.border, quantize=self.quantize)
        taps = _kernel(a.shape[-2])
        inside = torch.ones_like(a[:1, :1])  # zero padding cuts windows off: their weights say by how much
        a, b, inside = (torch.nn.functional.pad(image, [len(taps) // 2] * 4) for image in (a, b, inside))
        total, weight = a.new_zeros(a.shape[:2]), a.new_zeros(())
        weights = (sums[0] for _, sums in moments(inside, inside, taps))
        for w, (_, (mx, my, squares, product)) in zip(weights, moments(a, b, taps), strict=True):
            c1, c2, mxy, mm = C1 * w * w, C2 * w * w, mx * my, mx * mx + my * my
            total += (w * (2 * mxy + c1) * (c2 + 2 * (product * w - mxy)) / ((mm + c1) * (squares * w - mm + c2))).sum((-1, -2))
            weight += w.sum()
        return (total / weight).mean(1)


def _kernel(height: int) -> Tensor:
    """Taps that sum to 256; float64 holds their products exactly."""
    sigma = height * 1.5 / 256
    half = math.floor(sigma * math.sqrt(-2 * math.log(math.sqrt(math.pi / 2) * sigma / 256)))
    t = torch.arange(1, half + 1, dtype=torch.float64, device="cpu")
    side = (256 * torch.exp(-t.square() / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))).round()
    return torch.cat([side.flip(0), 256 - 2 * side.sum()[None], side])
