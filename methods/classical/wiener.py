"""Wiener-Hunt deconvolution with the true kernel.

B. R. Hunt, "The application of constrained least squares estimation to image restoration by digital computer", IEEE Trans. Computers 1973;
the notation is that of scikit-image's `restoration.wiener`.

| source | here |
|---|---|
| conj(H) / (abs(H)^2 + balance abs(D)^2), D the Laplacian | `_deconvolve.wiener` |
| edge taper | `_deconvolve.periodic` |

Departures: the borders are mirrored, faded into one another and tapered first, since photographs are not periodic.
Tuning: balance 0.01 was best of 0.005 to 0.03 on 96 crops of the training photos (128 pixels, DeblurGAN trajectories of length 24, noise
2/255): +3.08 dB; +3.10 dB on the validation photo.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import Capability, RestorationTask
from methods.classical._deconvolve import oracle_psf, restore


class Wiener(Method[RestorationTask]):
    """The linear upper-reference row: it is told the kernel."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"psf"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """What the filter can be told."""

        balance: float = param(0.01, "Hunt's gamma: weight of the smoothness prior against the data")

        def __post_init__(self) -> None:
            if self.balance < 0:
                raise ValueError(f"balance must be >= 0, not {self.balance}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1].

        Raises:
            UsageError: the batch has no kernels.
        """
        return restore(batch.observed, oracle_psf(batch), self.hp.balance)
