"""Resizing as MATLAB's `imresize` does it, which every table on super-resolution rests on: an axis is a matrix of weights."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Literal["cubic", "lanczos3"]
Border = Literal["replicate", "symmetric"]
"""What lies outside the picture: its outermost pixel (MATLAB's `imresize` of the 2010s), or the picture mirrored (newer versions)."""

_REACH = 3  # old pixels on either side of a new one that have a weight, at most


def enlarge(images: Tensor, scale: int, kernel: Kernel = "cubic", border: Border = "replicate") -> Tensor:
    """Enlarge by a whole factor: N x C x H x W to N x C x scale H x scale W. Negative weights can carry the result beyond the range of x.

    Kernels: cubic is Keys' with a = -0.5 (torch: -0.75) over 4 x 4 pixels, lanczos3 takes 6 x 6.
    """
    if not isinstance(images.shape[-1], int) and border == "replicate":  # a size that stands for any, as in an export
        return _by_phases(_by_phases(images, scale, kernel).mT, scale, kernel).mT
    down, across = (weights_for(images, n, scale * n, kernel, border) for n in images.shape[-2:])
    return down @ images @ across.T


def _by_phases(images: Tensor, scale: int, kernel: Kernel) -> Tensor:
    """Enlarge the height alone: N x C x H x W to N x C x scale H x W. Every new pixel of one phase has the same weights, at any height."""
    channels = images.shape[1]
    taps = images.new_tensor(_TAPS[kernel, scale])[:, None, :, None].repeat(channels, 1, 1, 1)
    wide = F.pad(images, (0, 0, _REACH, _REACH), mode="replicate")
    n, _, height, width = images.shape
    phases = F.conv2d(wide, taps, groups=channels).reshape(n, channels, scale, height, width)
    return phases.transpose(2, 3).reshape(n, channels, scale * height, width)


@functools.lru_cache(maxsize=64)
def weights(n: int, m: int, kernel: Kernel = "cubic", border: Border = "replicate") -> Tensor:
    """The matrix that takes n pixels to m: m x n, float64, rows sum to 1.

    Shrinking widens the kernel (antialiasing). Not to be written to.
    """
    function, width = _KERNELS[kernel]
    shrink = min(m / n, 1.0)
    centre = (torch.arange(m, dtype=torch.float64) + 0.5) * n / m - 0.5  # of new pixels, in old ones
    reach = math.ceil(width / shrink / 2) + 1
    old = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)  # m x neighbours
    value: Tensor = function((centre[:, None] - old) * shrink)
    turn = old % (2 * n)
    inside = old.clamp(0, n - 1) if border == "replicate" else torch.minimum(turn, 2 * n - 1 - turn)
    return torch.zeros(m, n, dtype=torch.float64).scatter_add_(1, inside, value / value.sum(1, keepdim=True))


def weights_for(images: Tensor, n: int, m: int, kernel: Kernel = "cubic", border: Border = "replicate") -> Tensor:
    """The same of the pictures' type and on their device, where it is put once."""
    if images.device.type == "cpu":
        return weights(n, m, kernel, border).to(images)
    return _weights_on(images.device, images.dtype, n, m, kernel, border)


@functools.lru_cache(maxsize=64)
def _weights_on(device: torch.device, dtype: torch.dtype, n: int, m: int, kernel: Kernel, border: Border) -> Tensor:
    with torch.device("cpu"):
        matrix = weights(n, m, kernel, border)
    return matrix.to(device, dtype)


def _cubic(x: Tensor) -> Tensor:
    """Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981, Eq. 15."""
    x = x.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _lanczos3(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


_KERNELS: dict[Kernel, tuple[Callable[[Tensor], Tensor], int]] = {"cubic": (_cubic, 4), "lanczos3": (_lanczos3, 6)}

_MIDDLE = _REACH + 1
_TAPS = {
    (kernel, scale): weights(2 * _MIDDLE + 1, scale * (2 * _MIDDLE + 1), kernel)[scale * _MIDDLE : scale * (_MIDDLE + 1), 1:-1].tolist()
    for kernel in _KERNELS
    for scale in (2, 3, 4)
}
"""Kernel, scale -> the weights of the old pixels around one, for each of the new pixels in it: made before anyone traces."""
