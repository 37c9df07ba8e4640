"""Richardson-Lucy deconvolution with the true kernel.

W. H. Richardson, "Bayesian-based iterative method of image restoration", JOSA 1972;
L. B. Lucy, "An iterative technique for the rectification of observed distributions", Astron. J. 1974;
borders: M. Bertero, P. Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy approach", A&A 2005.

| source | here |
|---|---|
| Richardson; Lucy: x <- x / H'1 * H'(y / Hx) | loop of `restore` |
| Bertero, Boccacci: the scene is larger than its picture, H'1 < 1 near the border | `seen`, `reach` |

Departures: none. Nothing is assumed of what lies outside the picture: it is estimated with the rest, as far as the kernel reaches.
Tuning: of 15, 20, 25, 30 iterations 25 were best by 0.04 dB on 96 crops of the training photos (128 pixels, DeblurGAN trajectories of
length 24, noise 2/255) and 20 are the default, being cheaper: +3.04 dB; +3.23 dB on the validation photo.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import Capability, RestorationTask
from bench.operators.psf import psf_to_otf, smooth
from methods.classical._deconvolve import oracle_psf


class RichardsonLucy(Method[RestorationTask]):
    """Multiplicative maximum likelihood for counts; stopping early is its regularisation."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"psf"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """When to stop."""

        iterations: int = param(20, "updates; more sharpens, then amplifies noise")

        def __post_init__(self) -> None:
            if self.iterations < 1:
                raise ValueError(f"iterations must be >= 1, not {self.iterations}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1].

        Raises:
            UsageError: the batch has no kernels.
        """
        y, psf = batch.observed, oracle_psf(batch)
        h, w = y.shape[-2:]
        size = (
            smooth(h + psf.shape[-1] - 1),
            smooth(w + psf.shape[-1] - 1),
        )  # picture at the top left, the unseen scene around it by wrapping
        otf = psf_to_otf(psf, size).unsqueeze(1)
        adjoint = otf.conj()
        seen = F.pad(torch.ones_like(y[:1, :1]), (0, size[1] - w, 0, size[0] - h))
        reach = torch.fft.irfft2(adjoint * torch.fft.rfft2(seen), s=size)  # H'1: the share of a scene pixel's light that was measured
        weight = torch.where(reach > 0.01, 1 / reach.clamp_min(0.01), 0)
        data = F.pad(y, (0, size[1] - w, 0, size[0] - h))
        x = y.mean((-2, -1), keepdim=True).expand_as(data)
        for _ in range(self.hp.iterations):
            predicted = torch.fft.irfft2(otf * torch.fft.rfft2(x), s=size).clamp_min_(1e-4)
            x = x * torch.fft.irfft2(adjoint * torch.fft.rfft2(data / predicted), s=size).mul_(weight)
        return x[..., :h, :w].clamp(0, 1)
