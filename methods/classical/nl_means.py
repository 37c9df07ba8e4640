"""Non-local means.

A. Buades, B. Coll, J.-M. Morel, "A non-local algorithm for image denoising", CVPR 2005; the variant that knows the noise:
"Non-local means denoising", IPOL 2011; by sums over shifted pictures: J. Darbon et al., "Fast nonlocal filtering", ISBI 2008.

| paper                                                                | here             |
|----------------------------------------------------------------------|------------------|
| IPOL Sec. 2: exp(-max(d^2 - 2 sigma^2, 0) / h^2), d^2 mean over patch | `weight`         |
| Darbon et al.: one shift at a time, for all pixels                   | loop of `filter` |

Departures: the picture is mirrored at its border; single pixels are averaged, not patches.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import param
from methods.classical._tuned import Candidate, Filter, TunedHP


class NLMeans(Filter):
    """A mean of pixels whose surroundings look alike, wherever they are in a window."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """Strength and reach."""

        h: float | tuple[float, ...] = param(
            (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1),
            "filtering parameter, in standard deviations of the noise",
        )
        patch: int = param(5, "IPOL Table 1: side of a patch at sigma 15 to 30, odd")
        distance: int = param(6, "farthest shift, pixels (IPOL: 10)")

        def __post_init__(self) -> None:
            if self.patch < 1 or self.patch % 2 == 0 or self.distance < 1:
                raise ValueError(f"patch must be odd and distance >= 1, not {self.patch} and {self.distance}")

    hp: HP

    @override
    def filter(self, y: Tensor, sigma: Tensor, hp: Candidate) -> Tensor:
        (height, width), half, distance = y.shape[-2:], hp.patch // 2, hp.distance
        mirrored = F.pad(y, [distance + half] * 4, mode="reflect")
        here = mirrored[..., distance : distance + height + 2 * half, distance : distance + width + 2 * half]
        floor, scale = 2 * sigma**2, -1 / (hp.h * sigma.clamp_min(1e-6)).square()
        total, weights = torch.zeros_like(y), torch.zeros_like(y[:, :1])
        for dy in range(2 * distance + 1):
            for dx in range(2 * distance + 1):
                there = mirrored[..., dy : dy + here.shape[-2], dx : dx + here.shape[-1]]
                distances = F.avg_pool2d((here - there).square().mean(1, keepdim=True), hp.patch, 1)
                weight = distances.sub_(floor).clamp_min_(0).mul_(scale).exp_()
                weights += weight
                total.addcmul_(weight, there[..., half : half + height, half : half + width])
        return total / weights
