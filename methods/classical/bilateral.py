"""Bilateral filter.

C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.

| paper                                                | here           |
|------------------------------------------------------|----------------|
| Sec. 2: Gaussian closeness times Gaussian similarity | loop of `filter` |
| Sec. 4: similarity of colours, not of channels       | `difference`   |

Departures: colours are compared in RGB (the paper: CIE-Lab).
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import param
from methods.classical._tuned import Candidate, Filter, TunedHP

_REACH = 2.5  # of the window, in standard deviations of closeness


class Bilateral(Filter):
    """A mean of neighbours that are near in place and in value."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """Both scales."""

        radius: float | tuple[float, ...] = param((1.0, 1.5, 2.0), "standard deviation of closeness, pixels")
        similarity: float | tuple[float, ...] = param((1.5, 2.0, 2.5, 3.0, 4.0), "standard deviation of similarity, in those of the noise")

    hp: HP

    @override
    def filter(self, y: Tensor, sigma: Tensor, hp: Candidate) -> Tensor:
        reach, (h, w) = math.ceil(_REACH * hp.radius), y.shape[-2:]
        mirrored = F.pad(y, [reach] * 4, mode="reflect")
        scale = -0.5 / (hp.similarity * sigma.clamp_min(1e-6)).square() / y.shape[1]
        total, weights = torch.zeros_like(y), torch.zeros_like(y[:, :1])
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if math.hypot(dy, dx) > _REACH * hp.radius:
                    continue
                there = mirrored[..., reach + dy : reach + dy + h, reach + dx : reach + dx + w]
                difference = (there - y).square().sum(1, keepdim=True)
                weight = (difference * scale).exp_().mul_(math.exp(-0.5 * (dy**2 + dx**2) / hp.radius**2))
                weights += weight
                total.addcmul_(weight, there)
        return total / weights
