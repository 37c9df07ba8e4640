"""A control: Wiener deconvolution with the kernel turned by 90 degrees.

A benchmark that does not rank this below the blurred picture is not measuring deblurring.

| source | here |
|---|---|
| Wiener-Hunt filter | `_deconvolve.restore` |

Departures: the kernel is wrong on purpose; turned rather than exchanged within the batch, so that a picture's
    result depends on itself alone.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import Capability, RestorationTask
from methods.classical._deconvolve import oracle_psf, restore


class WrongPSF(Method[RestorationTask]):
    """Deconvolution that should make things worse."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"psf"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """The same as those of `wiener`."""

        balance: float = param(0.01, "weight of the smoothness prior against the data, as in `wiener`")

        def __post_init__(self) -> None:
            if self.balance < 0:
                raise ValueError(f"balance must be >= 0, not {self.balance}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1].

        Raises:
            UsageError: the batch has no kernels.
        """
        return restore(batch.observed, oracle_psf(batch).rot90(1, (-2, -1)), self.hp.balance)
