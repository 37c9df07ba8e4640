"""Windowed first and second moments of a pair of images, strip by strip: what SSIM and its relatives are made of."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

C1, C2 = 0.01**2, 0.03**2  # (K1 L)^2, (K2 L)^2 for L = 1
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the exponents of the five scales (Wang et al. 2003)


def gaussian(sigma: float = 1.5, radius: int = 5) -> Tensor:
    """Taps of a normalised Gaussian, float64."""
    t = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu")
    taps = torch.exp(-t.square() / (2 * sigma**2))
    return taps / taps.sum()


def moments(x: Tensor, y: Tensor, taps: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Windowed sums of x, y, x^2 + y^2 and xy over the valid region, for strips of rows.

    A separable filter is a product with a banded matrix. Cut into blocks of a few rows and columns this is a small matrix
    product: several times faster than torch's one-channel convolution, and what is worked on stays in the cache.

    Args:
        x: float64, N x C x H x W.
        y: the same shape.
        taps: k, on the CPU, applied along both axes.

    Yields:
        (rows of the result, 4 x N x C x rows x (W - k + 1)).
    """
    (n, c, height, width), halo = x.shape, len(taps) - 1
    size = 32 if x.device.type == "cpu" else 256  # measured: 32 is best on CPUs from 64 x 64 to 720p; a GPU wants fewer launches
    band = _banded(tuple(taps.tolist()), size, x.device)
    x, y = x.reshape(-1, height, width), y.reshape(-1, height, width)
    for top in range(0, height - halo, size):
        rows = slice(top, min(top + size, height - halo))
        a, b = x[:, rows.start : rows.stop + halo], y[:, rows.start : rows.stop + halo]
        maps = x.new_empty(4, *a.shape)
        maps[0], maps[1] = a, b
        torch.mul(a, a, out=maps[2]).addcmul_(b, b)
        torch.mul(a, b, out=maps[3])
        down = _corner(band, rows).expand(4 * len(a), -1, -1).bmm(maps.flatten(0, 1)).flatten(0, 1)  # (4NC rows) x W
        across = down.new_empty(len(down), width - halo)
        for left in range(0, width - halo, size):
            columns = slice(left, min(left + size, width - halo))
            torch.mm(down[:, columns.start : columns.stop + halo], _corner(band, columns).T, out=across[:, columns])
        yield rows, across.view(4, n, c, -1, width - halo)


def similarity(x: Tensor, y: Tensor, taps: Tensor, correction: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean SSIM and mean contrast-structure term over the valid region.

    Args:
        x: float64, N x C x H x W, data range 1.
        y: the same shape.
        taps: k, sum 1.
        correction: factor on (co)variances: n / (n - 1) for the sample covariance.

    Returns:
        Two N x C tensors.
    """
    ssim, contrast = x.new_zeros(x.shape[:2]), x.new_zeros(x.shape[:2])
    for _, (mx, my, squares, product) in moments(x, y, taps):
        mxy, mm = mx * my, torch.addcmul(mx * mx, my, my)
        cs = ((product - mxy).mul_(2 * correction).add_(C2)).div_((squares - mm).mul_(correction).add_(C2))
        contrast += cs.sum((-1, -2))
        ssim += cs.mul_(mxy.mul_(2).add_(C1)).div_(mm.add_(C1)).sum((-1, -2))
    pixels = (x.shape[-2] - len(taps) + 1) * (x.shape[-1] - len(taps) + 1)
    return ssim / pixels, contrast / pixels


@functools.lru_cache(maxsize=32)
def _banded(taps: tuple[float, ...], size: int, device: torch.device) -> Tensor:
    """A size x (size + k - 1) matrix, float64: row i holds the taps from column i on. Made once; not to be written to."""
    band = torch.zeros(size, size + len(taps) - 1, dtype=torch.float64, device="cpu")
    for i, tap in enumerate(taps):
        band.diagonal(i).fill_(tap)
    return band.to(device)


def _corner(band: Tensor, part: slice) -> Tensor:
    """The matrix for a block that may be smaller than the others."""
    n = part.stop - part.start
    return band[:n, : n + band.shape[1] - band.shape[0]]
