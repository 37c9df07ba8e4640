"""Blind deconvolution of linear motion: marginal likelihood over a bank of lines, then Wiener's filter under its uncertainty.

Estimator: A. Levin, Y. Weiss, F. Durand, W. T. Freeman, "Understanding and evaluating blind deconvolution algorithms", CVPR 2009 (MAP_k:
integrate the picture out, choose the kernel; closed form for a Gaussian prior in the Fourier domain). Family and use of the log-spectrum:
M. Cannon, "Blind deconvolution of spatially invariant image blurs with phase", IEEE Trans. ASSP 1976.

| source | here |
|---|---|
| Cannon: average periodogram of windowed blocks, its logarithm | `_log_spectrum` |
| Levin et al.: y ~ N(0, abs(H)^2 S + sigma^2) at each frequency, S a power law | `_log_likelihood` |
| Wiener filter for a random kernel: conj(E H) / (E abs(H)^2 + balance abs(D)^2) | `restore` |

Departures: log-spectrum residuals are Student-t instead of exponential (pictures break the power law along their edges); kernels are
averaged under the tempered posterior instead of the best one being chosen. A picture that shows no evidence is therefore deblurred with the
average over all lines and "no blur", a short kernel: little gain, little harm. Curved paths are restored as far as a line explains them.
Tuning: slope, band, contrasts, temper and balance on up to 96 crops of the training photos (128 pixels, DeblurGAN trajectories of length
24, noise 2/255): +0.65 dB, of which 0.10 are owed to the estimate (temper infinite: +0.55); on straight lines of 3 to 18 pixels +1.3 dB
against +0.3. Validation photo, trajectories: +0.36 dB.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import RestorationTask
from bench.operators.psf import psf_to_otf
from methods.classical._deconvolve import centre, mirrored, periodic, wiener

_BLOCK = 64  # side of the windows of the periodogram
_HIGHEST = 0.35  # cycles per pixel: beyond it noise rules
_SLOPE = 3.0  # S = contrast / f^3: fitted to the training photos
_CONTRASTS = 10 ** torch.linspace(-6.3, -1.8, 10)
_LONGEST = 40  # a line that a block can still tell


class BlindMotion(Method[RestorationTask]):
    """Length and angle of the motion from the picture alone, each as far as the picture tells."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """The bank, the trust in its likelihood, the filter."""

        lengths: tuple[float, ...] = param((3.0, 6.0, 9.0, 12.0, 15.0, 18.0), "lengths of the lines, pixels; no blur is always in the bank")
        angles: int = param(12, "directions over 180 degrees")
        temper: float = param(
            60.0,
            "the log-likelihood is divided by it, since neighbouring frequencies are dependent and pictures are no Gaussians",
        )
        balance: float = param(0.05, "weight of the smoothness prior against the data")

        def __post_init__(self) -> None:
            fitting = self.lengths and all(0 < n <= _LONGEST for n in self.lengths)
            if not fitting or self.angles < 1 or self.temper <= 0 or self.balance < 0:
                raise ValueError(f"lengths must be given and lie in (0, {_LONGEST}], angles >= 1, temper > 0 and balance >= 0")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1]."""
        y = batch.observed
        lines = _lines(self.hp.lengths, self.hp.angles).to(y)
        weights = (_log_likelihood(_log_spectrum(y), lines, batch.sigma**2 / y.shape[1]) / self.hp.temper).logsumexp(0).softmax(-1)  # N x B
        psf = torch.einsum("nb,bij->nij", weights, lines)
        spread = torch.einsum("nb,bij->nij", weights, _autocorrelation(lines))
        canvas = periodic(y, psf)
        size = (canvas.shape[-2], canvas.shape[-1])
        return centre(wiener(canvas, psf_to_otf(psf, size), psf_to_otf(spread, size).real, self.hp.balance), y)


@functools.cache
def _lines(lengths: tuple[float, ...], angles: int) -> Tensor:
    """No blur, then every length at every angle: B x K x K, sum 1, points spread over the four pixels around them."""
    angle = torch.arange(angles) * (math.pi / angles)
    t = (torch.arange(256) + 0.5) / 256 - 0.5
    reach = torch.tensor(lengths).view(-1, 1, 1) * t  # L x 1 x T
    x, y = (torch.cat([torch.zeros(1, 256), (reach * f(angle)[:, None]).flatten(0, 1)]) for f in (torch.cos, torch.sin))  # B x T
    radius = math.ceil(max(lengths) / 2) + 1
    pixel = torch.arange(-radius, radius + 1)
    at = [(1 - (pixel - p.unsqueeze(-1)).abs()).clamp_min(0) for p in (y, x)]  # B x T x K
    return at[0].mT @ at[1] / 256


def _autocorrelation(psf: Tensor) -> Tensor:
    """B x K x K -> B x (2 K - 1) x (2 K - 1): the kernels whose transfer functions are |H|^2."""
    k = psf.shape[-1]
    power = torch.fft.rfft2(psf, s=(2 * k - 1, 2 * k - 1)).abs().square()
    return torch.fft.irfft2(power, s=(2 * k - 1, 2 * k - 1)).roll((k - 1, k - 1), (-2, -1))


def _band(like: Tensor) -> tuple[Tensor, Tensor]:
    """Which frequencies of a block are used (mask), and all their radii, cycles per pixel."""
    radius = torch.hypot(torch.fft.fftfreq(_BLOCK, device=like.device)[:, None], torch.fft.rfftfreq(_BLOCK, device=like.device))
    return (radius > 1.5 / _BLOCK) & (radius < _HIGHEST), radius


def _log_spectrum(images: Tensor) -> Tensor:
    """N x C x H x W -> N x F: logarithm of the mean periodogram of half-overlapping Hann-windowed blocks of the grey picture."""
    grey = images.mean(1, keepdim=True)
    for dim in (-2, -1):
        grey = mirrored(grey, dim, max(_BLOCK, grey.shape[dim]))
    blocks = grey[:, 0].unfold(1, _BLOCK, _BLOCK // 2).unfold(2, _BLOCK, _BLOCK // 2)  # N x i x j x 64 x 64
    hann = torch.hann_window(_BLOCK, device=images.device)
    window = torch.outer(hann, hann) / hann.square().mean()
    spectrum = torch.fft.rfft2((blocks - blocks.mean((-2, -1), keepdim=True)) * window, norm="ortho")
    return spectrum.abs().square().mean((1, 2))[:, _band(images)[0]].clamp_min(1e-12).log()


def _log_likelihood(log_spectrum: Tensor, lines: Tensor, variance: float) -> Tensor:
    """N x F, B x K x K -> contrasts x N x B: Student-t (4 degrees of freedom, scale 1/2) log-likelihood up to a constant."""
    band, radius = _band(log_spectrum)
    signal = psf_to_otf(lines, (_BLOCK, _BLOCK)).abs().square()[:, band] * radius[band] ** -_SLOPE  # B x F
    floor = variance + 1e-6  # noise of the grey picture, and quantisation
    residuals = (log_spectrum.unsqueeze(1) - (c * signal + floor).log() for c in _CONTRASTS.tolist())  # N x B x F each
    return torch.stack([-2.5 * r.square_().log1p_().sum(-1) for r in residuals])  # (r / scale)^2 / 4 = r^2
