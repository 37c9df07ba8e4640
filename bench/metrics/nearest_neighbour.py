"""Memorisation: authenticity of Alaa, van Breugel, Saveliev and van der Schaar (ICML 2022, arXiv 2102.08921)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._samples import FeatureMetric, Net, drop_self, squared_distances
from bench.remember import remember


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearestNeighbour(FeatureMetric):
    """Share of fakes that are farther from their nearest training sample than that one is from its own nearest neighbour.

    0 for copies. For fresh draws of the training law it is the chance that a nearest neighbour is not mutual: where samples lie evenly 1/3
    on a line and .378 in a plane, more in many dimensions; more still for fakes off the data. Remarks: the median distances of fakes to
    training samples and of training samples to each other. `nearest` gives the rows for a sheet of fakes beside their neighbours.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "share of fakes farther from their training neighbour than that is from its own (authenticity, Alaa et al. 2022)"
    )
    against: ClassVar[Literal["test", "train"]] = "train"

    net: Net = "pixels"

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        distance, index = self.nearest(fake, real)
        own = remember(real, self, lambda: self._own(real))
        return {
            "nearest_neighbour": (distance > own[index]).double().mean(),
            "nearest_neighbour/fake": distance.median(),
            "nearest_neighbour/real": own.median(),
        }

    def _own(self, real: Tensor) -> Tensor:
        """Distance of each real sample to the nearest other one."""
        b = self.features(real[:1], real)[1]
        return torch.cat([drop_self(rows, d).amin(1) for rows, d in squared_distances(b, b)]).sqrt()

    def nearest(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to, and row of, the nearest real sample of each fake: n float64, n int64."""
        a, b = self.features(fake, real)
        found = [d.min(1) for _, d in squared_distances(a, b)]
        return torch.cat([f.values for f in found]).sqrt(), torch.cat([f.indices for f in found])
