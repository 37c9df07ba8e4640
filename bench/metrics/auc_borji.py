"""Area under the ROC curve against random pixels. Borji, Sihite, Itti, "Quantitative analysis of human-model agreement", TIP 2013."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.metrics._saliency import area, stretch, values_at
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class AUCBorji(SaliencyMetric):
    """As many random pixels as fixations are the negatives, `splits` times; 0.5 by chance.

    The benchmark's thresholds, 0, 0.1, ..., 1, are coarse: on a map with narrow peaks most values fall below the first, and the score drops
    towards 0.5 whatever the order of pixels. A small `step` undoes that, under a card of its own.
    """

    reads: ClassVar[tuple[str, ...]] = ("fixations",)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = "area under the ROC curve at even thresholds, random pixels as negatives (MIT saliency benchmark)"

    splits: int = param(100, "draws of random pixels, averaged over")
    step: float = param(0.1, "distance of the thresholds on a map stretched to [0, 1]")
    seed: int = param(0, "of the random pixels: the same places in every picture of one size")

    def __post_init__(self) -> None:
        if self.splits < 1 or not 0 < self.step <= 1:
            raise ValueError(f"splits must be >= 1 and step in (0, 1], not {self.splits} and {self.step}")

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        maps = stretch(saliency)
        return torch.stack([self._area(s, values) for s, values in zip(maps, values_at(maps, truth[0]), strict=True)])

    def _area(self, s: Tensor, positives: Tensor) -> Tensor:
        rng = torch.Generator().manual_seed(self.seed)
        places = torch.randint(len(s), (self.splits, len(positives)), generator=rng)
        return area(positives, s[places.to(s.device)], self.step)
