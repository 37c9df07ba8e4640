"""What the techniques of one paper share, so that each stands in a file of its own.

Improved Techniques for Training GANs. Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.
"""

from __future__ import annotations

import dataclasses

from bench.method import param
from methods.two_player import GANHP


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImprovedHP(GANHP):
    """The values of the authors' code for CIFAR-10."""

    steps: int = param(600_000, "[code] 1200 epochs of 500 updates")
    batch_size: int = param(100, "[code]")
    optimizer: str = param("adam[lr=3e-4,betas=(0.5,0.999)]", "[code]")
    schedule: str = param("linear_decay[start=0.6667]", "[code] rate times min(3 - epoch / 400, 1)")
