"""Weighted F-measure of a salient object. Achanta, Hemami, Estrada, Suesstrunk, "Frequency-tuned salient region detection", CVPR 2009."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class FBeta(SaliencyMetric):
    """F = (1 + beta2) P R / (beta2 P + R) of the pixels at or above a threshold; precision counts more than recall where beta2 < 1."""

    reads: ClassVar[tuple[str, ...]] = ("mask",)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "F-measure of the map, cut at twice its mean (at most 1) or at a fixed value, against the object's mask (Achanta et al. 2009)"
    )

    beta2: float = param(0.3, "weight of recall against precision: beta squared")
    threshold: float | None = param(None, "value at which the map is cut; none: twice its mean")

    def __post_init__(self) -> None:
        if self.beta2 <= 0:
            raise ValueError(f"beta2 must be > 0, not {self.beta2}")

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        s, mask = saliency.flatten(1), truth[0].flatten(1) > 0.5
        cut = (2 * s.mean(1, keepdim=True)).clamp_max(1) if self.threshold is None else self.threshold
        found = s >= cut
        hits, chosen, wanted = (m.sum(1).double() for m in (found & mask, found, mask))
        # with P = hits / chosen and R = hits / wanted, F is the following; no hits: 0
        return torch.where(hits > 0, (1 + self.beta2) * hits / (self.beta2 * wanted + chosen), 0.0)
