"""Frechet Inception distance of Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter (NIPS 2017, arXiv 1706.08500)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from bench.metrics._frechet import FrechetMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class FID(FrechetMetric):
    """`fd` in the features of the Inception network of the literature; without its weights there is no number.

    The literature uses n >= 10,000.
    """

    title: ClassVar[str] = "FID"
    definition: ClassVar[str] = "Frechet Inception distance (Heusel et al. 2017), pool3 of TensorFlow's Inception of 2015-12-05"

    net: str = dataclasses.field(default="inception", init=False)
