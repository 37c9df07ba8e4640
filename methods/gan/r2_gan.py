"""Which Training Methods for GANs do actually Converge? The R2 penalty.

Mescheder, Geiger, Nowozin. ICML 2018, arXiv:1801.04406.

| paper                                       | here                |
|---------------------------------------------|---------------------|
| Eq. 10: R2 = gamma / 2 E_fake |grad D(x)|^2 | `penalised`         |
| everything else                             | `r1_gan.R1GAN`      |

Departures: as R1.
"""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from methods.gan.r1_gan import R1GAN


class R2GAN(R1GAN):
    """A zero-centred gradient penalty on fakes."""

    @override
    def penalised(self, x: Tensor, y: Tensor) -> Tensor:
        """The fakes y."""
        return y
