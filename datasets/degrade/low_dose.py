"""Low-dose CT: few photons reach the detector, and what they leave in the sinogram becomes streaks in the slice.

| step                                            | here          |
|-------------------------------------------------|---------------|
| line integrals p = sum of mu over the ray       | `bench.operators.ct`    |
| counts ~ Poisson(photons e^-p) + N(0, electronic^2) | `scan`    |
| log of the counts, filtered back-projection     | `reconstruct` |

Beer and Lambert's law with one energy; the noise model is that of Zeng et al., "A simple low-dose X-ray CT simulation from high-dose scan",
IEEE TNS 62(5), 2015.
Departures: no beam hardening, scatter or bow-tie filter; the true slice stands for the full-dose one, whose own noise is in it already.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.method import param
from bench.operators import ct

_SOURCE = {"parallel": math.inf, "fan": 1.7}  # from the axis, in sides of the picture: 595 mm to 350 mm


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowDose:
    """A scan with few photons. Slices are pictures on [0, 1] (see `bench.operators.ct`), `field` mm wide, with air outside the inscribed
    disc.
    """

    photons: float = param(1e5, "that leave for each detector sample; a quarter of it is a quarter of the dose")
    electronic: float = param(3.0, "standard deviation of the detector's own noise, in photons")
    views: int = param(360, "projections of a scan")
    beam: Literal["parallel", "fan"] = param("parallel", "geometry of the rays")
    field: float = param(350.0, "side of a slice, mm, whatever its header says: it sets how much is absorbed")
    taper: ct.Taper = param("ram_lak", "window on the reconstruction's ramp")

    def __post_init__(self) -> None:
        if not self.photons > 1 or self.electronic < 0 or self.views < 1 or self.field <= 0:
            given = f"{self.photons}, {self.electronic}, {self.views} and {self.field}"
            raise ValueError(f"photons must be > 1, electronic >= 0, views >= 1, field > 0, not {given}")

    @property
    def scanner(self) -> ct.Scanner:
        """The geometry of the scan."""
        return ct.Scanner(views=self.views, source=_SOURCE[self.beam], field=self.field)

    def scan(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Slices N x 1 x S x S -> noisy line integrals N x V x D, on the device of the slices. At least one photon counts as seen.

        Raises:
            UsageError: the pictures are no square slices of one channel.
        """
        if x.ndim != 4 or x.shape[1] != 1 or x.shape[-1] != x.shape[-2]:
            raise UsageError(f"a scan wants square slices of one channel (N x 1 x S x S), not {tuple(x.shape)}: use data of CT slices")
        clean = self.scanner.project(ct.attenuation(x) * ct.inscribed(x.shape[-1], x.device))
        counts = torch.poisson(self.photons * (-clean).exp().to(rng.device), generator=rng)
        counts += self.electronic * torch.randn(counts.shape, generator=rng, device=rng.device)
        return (math.log(self.photons) - counts.clamp_min(1).log()).to(x)

    def reconstruct(self, sinogram: Tensor, size: int) -> Tensor:
        """Line integrals N x V x D -> slices N x 1 x S x S on [0, 1]."""
        return ct.picture(self.scanner.fbp(sinogram, size, self.taper))
