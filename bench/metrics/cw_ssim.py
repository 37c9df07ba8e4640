"""CW-SSIM as pyssim computes it: the "SSIM" of the released DeblurGAN evaluation scripts. Not comparable with SSIM."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import ImageMetric
from bench.operators.images import Quantize, prepare_pair
from bench.operators.transfer import constant

_K = 0.01  # on the scale 0..255
_WIDTHS = 30  # of the wavelets: 1, 2, ..., 30; a wavelet of width a has 10 a samples
_BLOCK = 4096  # samples of one FFT: an image is far longer, its transforms stay in the cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class CWSSIM(ImageMetric):
    """Similarity of mexican-hat wavelet transforms of the raster read as one long line, averaged over its samples.

    The line runs through all rows, so what is compared is almost only horizontal detail. The gray image is PIL's 8-bit "L".
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    title: ClassVar[str] = "CW-SSIM"
    definition: ClassVar[str] = "CW-SSIM of pyssim: mexican-hat wavelets on the flattened raster of the 8-bit gray image; differs from SSIM"

    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        """The constant, the scale it belongs to, the widths, and the versions that compute this: a later one takes other wavelets."""
        return {"k": _K, "data_range": 255.0, "widths": _WIDTHS, "pyssim": "up to 0.7, by scipy.signal.cwt (0.7.1 takes PyWavelets' mexh)"}

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        a, b = prepare_pair(x_hat, x, quantize=self.quantize)
        return torch.stack([_score(p, q) for p, q in zip(_gray8(a), _gray8(b), strict=True)])  # one by one: 30 transforms each


def _score(x: Tensor, y: Tensor) -> Tensor:
    length, longest = len(x), min(10 * _WIDTHS, len(x))
    hop = _BLOCK - longest + 1
    blocks = -(-(length + longest) // hop)
    lines = torch.nn.functional.pad(torch.stack([x, y]), (longest - 1, blocks * hop - length))
    spectra = torch.fft.rfft(lines.unfold(-1, _BLOCK, hop))  # overlap-save: 2 x blocks x frequencies
    products, magnitudes, energies = x.new_zeros(3, length)
    for width in range(1, _WIDTHS + 1):
        size = min(10 * width, length)
        full = torch.fft.irfft(spectra * _transfer(size, width, x.device), _BLOCK)[..., longest - 1 :]
        start = (size - 1) // 2  # centred, as scipy's mode="same"
        u, v = full.flatten(1)[:, start : start + length]
        products += u * v
        magnitudes += (u * v).abs()
        energies += u * u + v * v
    amplitude = (2 * magnitudes + _K) / (energies + _K)
    phase = (2 * products.abs() + _K) / (2 * magnitudes + _K)
    score: Tensor = (amplitude * phase).mean()
    return score


@functools.lru_cache(maxsize=4 * _WIDTHS)
def _transfer(size: int, width: int, device: torch.device) -> Tensor:
    """The transform of `_ricker` over a block. Not to be written to."""
    spectrum: Tensor = torch.fft.rfft(_ricker(size, width).to(device), _BLOCK)
    return spectrum


def _ricker(size: int, width: int) -> Tensor:
    """The mexican hat, unit energy: 2 / (sqrt(3 a) pi^(1/4)) (1 - t^2/a^2) exp(-t^2 / 2a^2), `size` samples about the middle."""
    z = ((torch.arange(size, dtype=torch.float64, device="cpu") - (size - 1) / 2) / width).square()
    hat: Tensor = 2 / (math.sqrt(3 * width) * math.pi**0.25) * (1 - z) * torch.exp(-z / 2)
    return hat


def _gray8(x: Tensor) -> Tensor:
    """PIL's conversion to "L" in 16-bit fixed point, N x (H W), 0..255."""
    levels = x * 255
    if x.shape[1] == 3:
        weighted = torch.einsum("c,nchw->nhw", constant((19595.0, 38470.0, 7471.0), x), levels)
        levels = ((weighted + 0x8000) / 65536).floor()
    return levels.flatten(1)
