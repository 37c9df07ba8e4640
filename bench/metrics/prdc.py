"""Precision, recall: Kynkaanniemi et al. (NeurIPS 2019, arXiv 1904.06991).

Density, coverage: Naeem et al. (ICML 2020, arXiv 2002.09797).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import MetricColumn
from bench.metrics._samples import FeatureMetric, drop_self, squared_distances
from bench.remember import remember
from bench.spec import param


def _share(what: str, most: float = 1.0) -> MetricColumn:
    return MetricColumn(higher_is_better=True, unit="", definition=what, bounds=(0.0, most))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PRDC(FeatureMetric):
    """All four from balls that reach to the k-th neighbour within each set, in one pass over three tables of distances."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = "precision, recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020)"
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "precision": _share("share of fakes within the ball of a real sample, balls of k neighbours (Kynkaanniemi et al. 2019)"),
        "recall": _share("share of real samples within the ball of a fake, balls of k neighbours (Kynkaanniemi et al. 2019)"),
        "density": _share("real balls that a fake lies in, over k_density; may exceed 1 (Naeem et al. 2020)", math.inf),
        "coverage": _share("share of real balls with a fake inside, balls of k_density neighbours (Naeem et al. 2020)"),
    }

    k: int = param(3, "neighbours that the balls of precision and recall reach to")
    k_density: int = param(5, "neighbours that the balls of density and coverage reach to")

    def __post_init__(self) -> None:
        if min(self.k, self.k_density) < 1:
            raise ValueError(f"k and k_density must be >= 1, not {self.k} and {self.k_density}")

    @property
    @override
    def min_samples(self) -> int:
        return max(self.k, self.k_density) + 1

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "ball": "closed for precision and recall, open for density and coverage", "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        a, b = self.features(fake, real)
        (real_pr, real_dc), (fake_pr, _) = remember(real, self, lambda: self._radii(b)), self._radii(a)
        precise, recalled, inside = [], torch.zeros_like(real_pr), torch.zeros_like(real_pr)
        for rows, d in squared_distances(a, b):  # d: fakes x reals
            precise.append((d <= real_pr).any(1))
            recalled += (d <= fake_pr[rows, None]).sum(0)
            inside += (d < real_dc).sum(0)
        return {
            "precision": torch.cat(precise).double().mean(),
            "recall": (recalled > 0).double().mean(),
            "density": inside.sum() / (self.k_density * len(a)),
            "coverage": (inside > 0).double().mean(),
        }

    def _radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances to the k-th and k_density-th neighbours within a set: n each."""
        most = max(self.k, self.k_density)
        near = torch.cat([drop_self(rows, d).topk(most, largest=False).values for rows, d in squared_distances(x, x)])
        return near[:, self.k - 1], near[:, self.k_density - 1]
