"""Haar wavelet-based perceptual similarity index of Reisenhofer, Bosse, Kutyniok and Wiegand (2018, arXiv 1607.06140)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.operators.images import Quantize, halve, prepare_pair, yiq

_C, _ALPHA = 30.0, 4.2  # Sec. 3: fitted on image quality databases, for 0..255


@dataclasses.dataclass(frozen=True, kw_only=True)
class HaarPSI(ImageMetric):
    """Similarity of fine Haar coefficients, weighted by coarse ones; chroma (I and Q) joins for colour images."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    title: ClassVar[str] = "HaarPSI"
    definition: ClassVar[str] = "Haar wavelet-based perceptual similarity index at half size, C = 30, alpha = 4.2 (Reisenhofer et al. 2018)"

    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"odd_sides": "a zero below and to the right of both axes before they are halved"}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = (halve(yiq(255 * image)) for image in prepare_pair(x_hat, x, quantize=self.quantize, smallest=16))
        maps, weights = [], []
        for axis in (-2, -1):
            fine = [_similar(_haar(a[:, 0], k, axis), _haar(b[:, 0], k, axis)) for k in (2, 4)]
            maps.append((fine[0] + fine[1]) / 2)  # Eq. 10
            weights.append(torch.maximum(_haar(a[:, 0], 8, axis), _haar(b[:, 0], 8, axis)))  # Eq. 11
        if a.shape[1] == 3:  # Eq. 14: local means of I and Q
            i, q = (_similar(_mean2(a[:, c]), _mean2(b[:, c])) for c in (1, 2))
            maps.append((i + q) / 2)
            weights.append((weights[0] + weights[1]) / 2)
        similarity, weight = torch.stack(maps, 1), torch.stack(weights, 1)
        total = weight.flatten(1).sum(1)
        pooled = ((similarity * _ALPHA).sigmoid() * weight).flatten(1).sum(1) / total
        alike = (torch.logit(pooled) / _ALPHA).square().clamp_max(1)
        return torch.where(total == 0, 1.0, alike)  # where no pixel has weight both images are black


def _similar(g: Tensor, h: Tensor) -> Tensor:
    return (2 * g * h + _C) / (g * g + h * h + _C)


def _haar(x: Tensor, size: int, axis: int) -> Tensor:
    """Magnitude of the Haar coefficients along `axis` by running sums, zeros outside; N x H x W, placed as MATLAB's conv2 "same"."""
    before, after, length, across = size // 2, size // 2, x.shape[axis], -3 - axis
    running = torch.nn.functional.pad(x, (before, after, before, after)).cumsum(across)
    running = (running.narrow(across, size, x.shape[across]) - running.narrow(across, 0, x.shape[across])).cumsum(axis)
    first, middle, last = (running.narrow(axis, k, length) for k in (0, size // 2, size))
    return (2 * middle - first - last).abs() / size


def _mean2(x: Tensor) -> Tensor:
    """Magnitude of the 2 x 2 means, zeros outside; N x H x W."""
    return torch.nn.functional.avg_pool2d(torch.nn.functional.pad(x, (0, 1, 0, 1))[:, None], 2, stride=1)[:, 0].abs()
