"""Multi-scale SSIM of Wang, Simoncelli and Bovik (Asilomar 2003), as PyTorch implementations compute it."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.metrics._windows import MS_WEIGHTS, gaussian, similarity
from bench.operators.images import Border, Channel, Quantize, prepare_pair
from bench.operators.transfer import constant


@dataclasses.dataclass(frozen=True, kw_only=True)
class MSSSIM(ImageMetric):
    """Contrast-structure at five scales times luminance at the last; negative means count as 0; the mean over channels."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    title: ClassVar[str] = "MS-SSIM"
    definition: ClassVar[str] = "multi-scale SSIM: 5 scales by 2 x 2 means, Gaussian 11 / 1.5, valid region (Wang et al. 2003)"

    channel: Channel = "rgb"
    border: Border = 0
    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        """Data range, the exponents of the scales, and the padding of odd sides, which is worth up to .011."""
        padding = "a zero on both ends of odd sides before halving, counted in the means"
        return {"data_range": 1.0, "clipped": self.quantize is not None, "weights": MS_WEIGHTS, "odd_sides": padding}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, channel=self.channel, border=self.border, quantize=self.quantize, smallest=161)
        terms = []
        for scale in range(len(MS_WEIGHTS)):
            if scale:  # odd sides are padded with a zero on both ends, which count in the mean
                odd = [side % 2 for side in a.shape[-2:]]
                a, b = (torch.nn.functional.avg_pool2d(image, 2, padding=odd) for image in (a, b))
            ssim, contrast = similarity(a, b, gaussian())
            terms.append((ssim if scale == len(MS_WEIGHTS) - 1 else contrast).clamp_min(0))
        return (torch.stack(terms, -1) ** constant(MS_WEIGHTS, a)).prod(-1).mean(1)
