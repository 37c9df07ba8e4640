"""Frechet distance in the features of a named network: the formula of Heusel et al. (NIPS 2017, arXiv 1706.08500, Eq. 6)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from bench.metrics._frechet import FrechetMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class FD(FrechetMetric):
    """Distance of the Gaussians fitted to both sets.

    Biased upwards by about 1/n: numbers of different n do not compare (n is on the card).
    """

    definition: ClassVar[str] = "Frechet distance of Gaussians fitted to the features of a named network (formula of Heusel et al. 2017)"
