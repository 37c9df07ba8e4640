"""Operations whose CUDA kernels are not the same twice, in a form that is where `--deterministic` asks for it. The values are the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def reflect(x: Tensor, margin: int) -> Tensor:
    """Continue pictures by their mirror image, the edge not repeated: ... x H x W to ... x (H + 2 margin) x (W + 2 margin)."""
    if not _is_asked_for(x):
        return F.pad(x, (margin,) * 4, mode="reflect")
    for dim in (-2, -1):
        n = x.shape[dim]
        x = torch.cat([x.narrow(dim, 1, margin).flip(dim), x, x.narrow(dim, n - 1 - margin, margin).flip(dim)], dim)
    return x


def median(x: Tensor) -> Tensor:
    """The median over the last axis, of an even number the lower one."""
    if not _is_asked_for(x):
        return x.median(-1).values
    return x.sort(-1).values[..., (x.shape[-1] - 1) // 2]


def _is_asked_for(x: Tensor) -> bool:
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()
