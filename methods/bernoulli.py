"""The likelihood of coins, which variational auto-encoders and saliency models share."""

from __future__ import annotations

import torch
from torch import Tensor


def nll(p: Tensor, x: Tensor) -> Tensor:
    """-x log p - (1 - x) log(1 - p), both in [0, 1], element by element; no probability counts as less than the smallest step from 0 or 1.

    A NaN goes through, so that training ends as diverged; `F.binary_cross_entropy` raises on it, and on CUDA asserts on the device.
    """
    steps = torch.finfo(p.dtype)
    p = p.clamp(steps.tiny, 1 - steps.eps / 2)
    return -(x * p.log() + (1 - x) * (1 - p).log())
