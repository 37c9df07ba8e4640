"""Orthogonal wavelets on pictures: the decimated transform, one level at a time.

Daubechies, "Ten lectures on wavelets", 1992, Sec. 8: least asymmetric filters. Borders are mirrored (the edge pixel repeated), so a level
of length n has (n + 15) // 2 coefficients and is inverted exactly.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

# sym8: eight vanishing moments, unit norm, orthogonal to its even shifts
_SYM8 = (
    -0.0033824159510061256, -0.0005421323317911481, 0.03169508781149298, 0.007607487324917605, -0.1432942383508097, -0.061273359067658524,
    0.4813596512583722, 0.7771857517005235, 0.3644418948353314, -0.05194583810770904, -0.027219029917056003, 0.049137179673607506,
    0.003808752013890615, -0.01495225833704823, -0.0003029205147213668, 0.0018899503327594609,
)  # fmt: skip
_TAPS = len(_SYM8)


def analyse(x: Tensor) -> Tensor:
    """One level: N x C x H x W -> N x C x 4 x H' x W': approximation, details along rows, along columns, along both."""
    n, c, h, w = x.shape
    padded = _mirrored(_mirrored(x, -1), -2).reshape(n * c, 1, h + 2 * _TAPS - 3, w + 2 * _TAPS - 3)
    return F.conv2d(padded, _bank(x.dtype, x.device), stride=2).unflatten(0, (n, c))


def synthesise(bands: Tensor, size: tuple[int, int]) -> Tensor:
    """The picture of H x W = `size` whose `analyse` these bands are."""
    n, c = bands.shape[:2]
    full = F.conv_transpose2d(bands.flatten(0, 1), _bank(bands.dtype, bands.device), stride=2).unflatten(0, (n, c))[:, :, 0]
    start = _TAPS - 2
    return full[..., start : start + size[0], start : start + size[1]]


def _mirrored(x: Tensor, dim: int) -> Tensor:
    """Continue an axis by 14 entries before it and 15 behind it: mirror images, the entry at the edge repeated."""
    n = x.shape[dim]
    index = torch.arange(2 - _TAPS, n + _TAPS - 1, device=x.device).remainder(2 * n)
    return x.index_select(dim, torch.minimum(index, 2 * n - 1 - index))


@functools.cache
def _bank(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The four separable filters, 4 x 1 x 16 x 16, to be correlated with."""
    low = torch.tensor(_SYM8, dtype=torch.float64).flip(0)
    high = low.flip(0) * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(_TAPS // 2)
    pairs = [torch.outer(rows, columns) for rows in (low, high) for columns in (low, high)]
    return torch.stack(pairs).unsqueeze(1).to(device, dtype)
