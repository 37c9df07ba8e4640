"""Gradient magnitude similarity deviation of Xue, Zhang, Mou and Bovik (IEEE TIP 2014)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.operators.images import Quantize, halve, prepare_pair, yiq

_T = 170 / 255**2  # the paper's 170 on 0..255


@dataclasses.dataclass(frozen=True, kw_only=True)
class GMSD(ImageMetric):
    """Standard deviation of the similarity of Prewitt gradient magnitudes, at half size; 0 for identical images."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    title: ClassVar[str] = "GMSD"
    definition: ClassVar[str] = "gradient magnitude similarity deviation on luma at half size, T = 170 (Xue et al. 2014)"

    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"odd_sides": "a zero below and to the right of both axes before they are halved"}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, quantize=self.quantize, smallest=4)
        g, h = (_squared_gradient(halve(yiq(image)[:, :1])) for image in (a, b))
        similarity = (2 * (g * h).sqrt() + _T) / (g + h + _T)
        return similarity.flatten(1).std(1, correction=0)


def _squared_gradient(x: Tensor) -> Tensor:
    """Squared magnitude of the Prewitt gradient, zeros outside the image: 3-term sums across, differences along. N x 1 x H x W."""
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    across = (padded[..., :, 2:] - padded[..., :, :-2]) / 3
    down = (padded[..., 2:, :] - padded[..., :-2, :]) / 3
    horizontal = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
    vertical = down[..., :-2] + down[..., 1:-1] + down[..., 2:]
    return horizontal.square() + vertical.square()
