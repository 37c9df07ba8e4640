"""Point spread functions as operators: the one convolution that degrades images and that deconvolution inverts.

A PSF is N x K x K, one kernel an image, K odd, centre at K // 2. It convolves in the mathematical sense: an impulse becomes the PSF itself.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UsageError
from bench.operators.transfer import send

Boundary = Literal["reflect", "replicate", "circular", "constant"]
"""What lies outside the picture, by torch's names: "reflect" mirrors without repeating the edge, "constant" is black."""

_DIRECT_UP_TO = 11  # kernel size; beyond it the FFT is faster at 64 to 256 pixels (measured on a CPU by benchmarks/motion_blur.py)


def gaussian(sigma: float, reach: float) -> Tensor:
    """The PSF of a Gaussian of `sigma` pixels, cut beyond `reach` deviations: 1 x K x K on the CPU, sum 1."""
    half = math.ceil(reach * sigma)
    profile = torch.exp(-0.5 * (torch.arange(-half, half + 1, device="cpu") / sigma).square())
    return (torch.outer(profile, profile) / profile.sum().square()).unsqueeze(0)


def convolve(images: Tensor, psf: Tensor, boundary: Boundary = "reflect") -> Tensor:
    """Convolve each image with its own kernel; sizes are kept.

    Args:
        images: N x C x H x W, float.
        psf: N x K x K or 1 x K x K (one for all), K odd.
        boundary: what lies outside the picture.

    Raises:
        UsageError: the kernel is even, not square, not one for each image, or too large to mirror the picture.
    """
    n, k = _checked(images, psf)
    if k == 1:
        return images * _beside(psf, images).view(-1, 1, 1, 1)
    padded = pad(images, k // 2, boundary)
    kernels = _beside(psf, images).expand(n, k, k)
    return _direct(padded, kernels) if k <= _DIRECT_UP_TO else _by_fft(padded, kernels)


def _beside(psf: Tensor, images: Tensor) -> Tensor:
    """Of the pictures' type and on their device."""
    return send(psf.to(images.dtype), images.device)


def correlate(images: Tensor, psf: Tensor, boundary: Boundary = "reflect") -> Tensor:
    """Convolve with the kernels turned by 180 degrees: the adjoint of `convolve`, exact for the boundaries "circular" and "constant"."""
    return convolve(images, psf.flip(-2, -1), boundary)


def psf_to_otf(psf: Tensor, size: tuple[int, int]) -> Tensor:
    """The transfer function of a circular convolution: N x H x (W // 2 + 1), complex, to multiply `torch.fft.rfft2` of an H x W image.

    Raises:
        UsageError: the kernel is larger than the image.
    """
    k = psf.shape[-1]
    if k > min(size):
        raise UsageError(f"a {k} x {k} kernel does not fit into an image of {size[0]} x {size[1]}")
    canvas = F.pad(psf, (0, size[1] - k, 0, size[0] - k))
    otf: Tensor = torch.fft.rfft2(canvas.roll((-(k // 2), -(k // 2)), dims=(-2, -1)))
    return otf


def pad(images: Tensor, margin: int, boundary: Boundary = "reflect") -> Tensor:
    """N x C x H x W -> N x C x (H + 2 margin) x (W + 2 margin).

    Raises:
        UsageError: the picture is too small to be continued that far.
    """
    limit = min(images.shape[-2:]) - (boundary == "reflect")
    if boundary in ("reflect", "circular") and margin > limit:
        size = f"{images.shape[-2]} x {images.shape[-1]}"
        raise UsageError(f"an image of {size} cannot be padded by {margin} ({boundary}): use a smaller kernel or larger images")
    return F.pad(images, (margin,) * 4, mode=boundary)


def crop(images: Tensor, margin: int) -> Tensor:
    """Undo `pad`."""
    return images[..., margin : images.shape[-2] - margin, margin : images.shape[-1] - margin]


def _direct(padded: Tensor, psf: Tensor) -> Tensor:
    turned = psf.flip(-2, -1).unsqueeze(1)  # conv2d correlates
    out: Tensor = F.conv2d(padded.transpose(0, 1), turned, groups=len(psf))  # C x N x H x W: one group an image
    return out.transpose(0, 1)


def _by_fft(padded: Tensor, psf: Tensor) -> Tensor:
    size = (smooth(padded.shape[-2]), smooth(padded.shape[-1]))
    spectrum = torch.fft.rfft2(padded, s=size) * torch.fft.rfft2(psf, s=size).unsqueeze(1)
    k = psf.shape[-1]
    whole: Tensor = torch.fft.irfft2(spectrum, s=size)
    return whole[..., k - 1 : padded.shape[-2], k - 1 : padded.shape[-1]]  # the first K - 1 rows and columns wrap around


def smooth(length: int) -> int:
    """The next length whose only prime factors are 2, 3 and 5: quick to transform."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _checked(images: Tensor, psf: Tensor) -> tuple[int, int]:
    n, k = len(images), psf.shape[-1]
    if images.ndim != 4 or psf.ndim != 3 or psf.shape[-2] != k or k % 2 == 0 or len(psf) not in (1, n):
        raise UsageError(
            f"cannot convolve images {tuple(images.shape)} with kernels {tuple(psf.shape)}: give N x C x H x W and N x K x K, K odd"
        )
    return n, k
