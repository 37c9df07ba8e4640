"""Wavelet shrinkage with BayesShrink's thresholds.

S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE TIP 2000.

| paper                                                       | here         |
|-------------------------------------------------------------|--------------|
| Eq. 14: T = sigma^2 / sigma_x, the near-optimal threshold   | `_threshold` |
| Eq. 16: sigma_x^2 = max(sigma_y^2 - sigma^2, 0) of a band   | `_threshold` |
| soft thresholding of all details                            | `_shrink`    |

The wavelet is sym8. Four levels: scikit-image's default, at most one level at the size of BSD68, leaves most of the noise where it is (24.8
instead of 26.9 dB at sigma 25). Channels are treated alone.
Departures: none.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import RestorationTask
from methods.classical._noise_level import noise_level
from methods.classical._wavelets import analyse, synthesise


class WaveletBayes(Method[RestorationTask]):
    """Soft thresholds, one a band and channel."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """The depth; thresholds follow from the data."""

        levels: int = param(4, "ours: levels of the transform, fewer where the picture becomes smaller than the filter")

        def __post_init__(self) -> None:
            if self.levels < 1:
                raise ValueError(f"levels must be >= 1, not {self.levels}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1]."""
        return _shrink(batch.observed, noise_level(batch.observed, batch.sigma).unsqueeze(2), self.hp.levels).clamp(0, 1)


def _shrink(x: Tensor, sigma: Tensor, levels: int) -> Tensor:
    """Shrink the details of `levels` levels; `sigma` is N x 1 x 1 x 1 x 1."""
    if not levels or min(x.shape[-2:]) < 16:
        return x
    bands = analyse(x)
    details = bands[:, :, 1:]
    details = details.sign() * (details.abs() - _threshold(details, sigma)).clamp_min(0)
    return synthesise(torch.cat([_shrink(bands[:, :, 0], sigma, levels - 1).unsqueeze(2), details], 2), (x.shape[-2], x.shape[-1]))


def _threshold(details: Tensor, sigma: Tensor) -> Tensor:
    """N x C x 3 x H x W -> N x C x 3 x 1 x 1."""
    signal = (details.square().mean((-2, -1), keepdim=True) - sigma**2).clamp_min(torch.finfo(details.dtype).eps)
    return sigma**2 / signal.sqrt()
