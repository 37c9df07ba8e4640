"""What the deconvolution methods share: a picture made periodic, and Wiener's filter on it."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.method import Batch
from bench.operators.psf import psf_to_otf, smooth


def oracle_psf(batch: Batch) -> Tensor:
    """The true kernels, N x K x K, on the device and in the precision of the pictures.

    Raises:
        UsageError: the batch has none.
    """
    if batch.psf is None:
        raise UsageError("this method needs the true blur kernels and the batch has none: use a task that offers 'psf', or a blind method")
    return batch.psf.to(batch.observed)


def periodic(images: Tensor, psf: Tensor) -> Tensor:
    """Continue pictures until they may be taken for one period, so that a Fourier filter sees no edge where the borders meet.

    Each side is mirrored, the two mirror images of opposite sides fade into one another over K + 1 pixels or more, and the seam is
    tapered: blurred with the picture's own kernel (MATLAB's `edgetaper`).

    Args:
        images: N x C x H x W, any size.
        psf: N x K x K.

    Returns:
        N x C x H' x W' with sizes that are quick to transform; the picture stands in the middle (`centre`).
    """
    k = psf.shape[-1]
    for dim in (-2, -1):
        images = mirrored(images, dim, smooth(max(images.shape[dim] + k + 1, 2 * k)))
    size = (images.shape[-2], images.shape[-1])
    blurred = torch.fft.irfft2(psf_to_otf(psf, size).unsqueeze(1) * torch.fft.rfft2(images), s=size)
    inside = _taper(psf.sum(-1), size[0])[:, None, :, None] * _taper(psf.sum(-2), size[1])[:, None, None, :]
    return torch.lerp(blurred, images, inside)


def centre(canvas: Tensor, like: Tensor) -> Tensor:
    """The picture in the middle of a canvas made by `periodic`, H x W as `like`, clipped to [0, 1]."""
    (h, w), top, left = like.shape[-2:], (canvas.shape[-2] - like.shape[-2]) // 2, (canvas.shape[-1] - like.shape[-1]) // 2
    return canvas[..., top : top + h, left : left + w].clamp(0, 1)


def laplacian_power(size: tuple[int, int], like: Tensor) -> Tensor:
    """|D|^2 of the five-point Laplacian at the frequencies of `rfft2`: H x (W // 2 + 1), on the device of `like`."""
    v, u = torch.fft.fftfreq(size[0], device=like.device), torch.fft.rfftfreq(size[1], device=like.device)
    return (4 - 2 * torch.cos(2 * torch.pi * v)[:, None] - 2 * torch.cos(2 * torch.pi * u)).square()


def wiener(canvas: Tensor, otf: Tensor, power: Tensor, balance: float) -> Tensor:
    """Wiener-Hunt deconvolution of periodic pictures: conj(H) / (|H|^2 + balance |D|^2), D the Laplacian.

    Args:
        canvas: N x C x H x W, periodic.
        otf: N x H x (W // 2 + 1), transfer functions H (`psf_to_otf`).
        power: of the same shape, |H|^2 (its mean where H is uncertain).
        balance: weight of the smoothness prior, >= 0.
    """
    size = (canvas.shape[-2], canvas.shape[-1])
    inverse = otf.conj() / (power + balance * laplacian_power(size, canvas)).clamp_min(1e-12)  # balance 0: nothing is known where H = 0
    return torch.fft.irfft2(inverse.unsqueeze(1) * torch.fft.rfft2(canvas), s=size)


def restore(images: Tensor, psf: Tensor, balance: float) -> Tensor:
    """Deconvolve pictures with known kernels: `periodic`, `wiener`, `centre`."""
    canvas = periodic(images, psf)
    otf = psf_to_otf(psf, (canvas.shape[-2], canvas.shape[-1]))
    return centre(wiener(canvas, otf, otf.abs().square(), balance), images)


def mirrored(images: Tensor, dim: int, size: int) -> Tensor:
    """Continue one axis to `size` by a raised-cosine fade from the mirror image behind its end to that before its beginning."""
    n = images.shape[dim]
    extra = size - n
    steps = torch.arange(extra, device=images.device)
    behind, before = images.index_select(dim, _reflect(n + steps, n)), images.index_select(dim, _reflect(steps - extra, n))
    fade = (0.5 - 0.5 * torch.cos(torch.pi * (steps + 0.5) / extra)).to(images)
    seam = torch.lerp(behind, before, fade if dim == -1 else fade.unsqueeze(-1))
    return torch.cat([images, seam], dim).roll(extra // 2, dim)


def _reflect(index: Tensor, n: int) -> Tensor:
    """Fold any index into 0 .. n - 1 by mirroring at the first and last pixel."""
    folded = index.remainder(max(2 * (n - 1), 1))
    return torch.where(folded < n, folded, 2 * (n - 1) - folded)


def _taper(profile: Tensor, n: int) -> Tensor:
    """N x K kernel profiles -> N x n weights: 0 at both ends of an axis, 1 farther from them than the kernel reaches."""
    overlap = torch.fft.irfft(torch.fft.rfft(profile, n - 1).abs().square(), n - 1)
    return 1 - torch.cat([overlap, overlap[:, :1]], 1) / overlap[:, :1]
