"""Gaussians on a circle. Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017, App. A: eight of them, radius 2, std .02.

Others: radius 1, std .01 (VEEGAN, PacGAN, Numerics of GANs); radius 1.41443, std .014144 (the toy of the WGAN-GP code, divided by 1.414).
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.points import EqualMixture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ring(EqualMixture):
    """`modes` equal Gaussians at the angles 2 pi k / modes."""

    modes: int = param(8, "Gaussians on the ring")
    radius: float = param(2.0, "of the ring")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modes < 1:
            raise ValueError(f"modes must be >= 1, not {self.modes}")

    @override
    def components(self) -> Tensor:
        angle = 2 * math.pi * torch.arange(self.modes, dtype=torch.float64) / self.modes
        return self.radius * torch.stack([angle.cos(), angle.sin()], 1)
