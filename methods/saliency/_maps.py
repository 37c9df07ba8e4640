"""What saliency models without training share. All take and give N x 1 x H x W."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gray(x: Tensor) -> Tensor:
    """The mean over colours, of N x C x H x W."""
    return x.mean(1, keepdim=True)


def smooth(x: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` pixels, cut at three deviations; the border is repeated."""
    reach = math.ceil(3 * sigma)
    taps = torch.exp(-torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device).square() / (2 * sigma**2))
    taps = taps / taps.sum()
    wide = F.pad(x, [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))


def stretched(x: Tensor) -> Tensor:
    """Each map brought to [0, 1]; a constant one becomes zeros."""
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    return torch.where(high > low, (x - low) / (high - low), 0.0)
