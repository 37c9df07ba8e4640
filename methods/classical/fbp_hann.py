"""Filtered back-projection with a soft ramp: what scanners have done for forty years.

Kak, Slaney, "Principles of Computerized Tomographic Imaging", 1988, Sec. 3.3; the window is Hann's.

| source                        | here                   |
|-------------------------------|------------------------|
| ramp, window, back-projection | `bench.operators.ct.Scanner.fbp` |

Departures: none.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor
from typing_extensions import override

from bench.method import Batch, param
from bench.operators import ct
from methods.classical._tuned import Candidate, Reconstruction, TunedHP


class FBPHann(Reconstruction):
    """Give up the sharpest details, in which there is most noise."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """Where the window ends."""

        cutoff: float | tuple[float, ...] = param((0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), "of the detector's Nyquist frequency")

        def __post_init__(self) -> None:
            if not all(0 < cutoff <= 1 for cutoff in self.values("cutoff")):
                raise ValueError(f"cutoff must be in (0, 1], not {self.cutoff}")

    hp: HP

    @override
    def attempt(self, batch: Batch, hp: Candidate) -> Tensor:
        """N x 1 x S x S: nothing passes beyond the cut-off."""
        return ct.picture(self.scanner.fbp(self.rays(batch), batch.observed.shape[-1], "hann", hp.cutoff))
