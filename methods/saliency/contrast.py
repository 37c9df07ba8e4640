"""A Model of Saliency-Based Visual Attention for Rapid Scene Analysis.

Itti, Koch, Niebur. IEEE PAMI 20(11), 1998.

| paper                                                          | here             |
|----------------------------------------------------------------|------------------|
| intensity; red-green and blue-yellow opponency (Eqs. 2 and 3)  | `_colours`       |
| orientation at 0, 45, 90 and 135 degrees (Eq. 4)               | `_orientations`  |
| centre-surround differences (Eqs. 1 to 4)                      | `_differences`   |
| N(.): few strong peaks count, many alike cancel out            | `_promoted`      |
| S = mean of the three conspicuity maps (Eq. 8)                 | `restore`        |

Departures: "Itti-like". Scales are means over squares, not Gaussian pyramids; centres lie at scales 1 to 3 and surrounds 2 and 3 above,
since pictures here are small (the paper: 2 to 4, and 3 and 4 above); orientation is that of the gradient, not a Gabor filter's; local
maxima for N(.) are those of windows of an eighth of the width. No sequence of attended places.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import Capability, SaliencyTask
from methods.saliency._maps import gray, smooth, stretched

_CENTRES, _ABOVE = (1, 2, 3), (2, 3)


class Contrast(Method[SaliencyTask]):
    """What differs from its surround in brightness, colour or orientation, and is alone in that."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Ours."""

        sigma: float = param(
            0.05,
            "ours: deviation of the final smoothing, as a share of the height; people's fixations scatter, the model's do not",
        )

        def __post_init__(self) -> None:
            if self.sigma <= 0:
                raise ValueError(f"sigma must be > 0, not {self.sigma}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1], any size."""
        x = batch.observed
        intensity = gray(x)
        conspicuity = [_differences([intensity]), _differences(_colours(x, intensity)), _differences(_orientations(intensity))]
        saliency = torch.stack([_promoted(c) for c in conspicuity]).mean(0)
        return stretched(smooth(saliency, self.hp.sigma * x.shape[-2]))


def _colours(x: Tensor, intensity: Tensor) -> list[Tensor]:
    """Red against green, blue against yellow, of hues that are bright enough to be seen; each N x 1 x H x W."""
    seen = intensity > 0.1 * intensity.amax((-2, -1), keepdim=True)
    r, g, b = (torch.where(seen, x / intensity.clamp_min(1e-6), 0.0)).split(1, 1)
    return [r - g, b - torch.minimum(r, g)]


def _orientations(intensity: Tensor) -> list[Tensor]:
    """The gradient with its angle doubled: 0 against 90 degrees, 45 against 135; each N x 1 x H x W."""
    wide = F.pad(intensity, (1, 1, 1, 1), mode="replicate")
    x, y = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2], wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    size = torch.hypot(x, y).clamp_min(1e-6)
    return [(x * x - y * y) / size, 2 * x * y / size]


def _differences(features: list[Tensor]) -> Tensor:
    """Sum of the promoted differences between a fine and a coarse scale, over features and pairs of scales."""
    total = torch.zeros_like(features[0])
    for feature in features:
        for c in _CENTRES:
            for d in _ABOVE:
                total = total + _promoted((_at_scale(feature, c) - _at_scale(feature, c + d)).abs())
    return total


def _at_scale(x: Tensor, scale: int) -> Tensor:
    """Means over squares of 2^scale pixels, brought back to full size."""
    height, width = (max(1, n >> scale) for n in x.shape[-2:])
    return F.interpolate(F.adaptive_avg_pool2d(x, (height, width)), x.shape[-2:], mode="bilinear", align_corners=False)


def _promoted(x: Tensor) -> Tensor:
    """N(.): stretch to a maximum of 1, then weigh by (1 - mean of the other local maxima)^2."""
    x = x / x.amax((-2, -1), keepdim=True).clamp_min(1e-6)
    window = max(3, x.shape[-1] // 8)
    peaks = F.max_pool2d(x, window, ceil_mode=True).flatten(2)
    others = (peaks.sum(-1) - 1) / max(peaks.shape[-1] - 1, 1)
    return x * (1 - others.clamp(0, 1)).square()[..., None, None]
