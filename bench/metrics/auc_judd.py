"""Area under the ROC curve with thresholds at the fixations.

Judd, Ehinger, Durand, Torralba, "Learning to predict where humans look", ICCV 2009.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SaliencyMetric
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class AUCJudd(SaliencyMetric):
    """Fixated pixels against all others, at the map's own values where people looked; 0.5 by chance.

    Increasing functions of a map change nothing. MATLAB's code adds noise of 1e-7 to a map, so that equal pixels stand in random order:
    "random" is that noise made infinitely small, "together" its code without the noise.
    """

    reads: ClassVar[tuple[str, ...]] = ("fixations",)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "area under the ROC curve, thresholds at the fixations, all other pixels as negatives (MIT saliency benchmark)"
    )

    ties: Literal["random", "together"] = param("random", "equal pixels stand in random order, or all of a value count at once")
    seed: int = param(0, "of the order of equal pixels")

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        return torch.stack([self._area(s, f) for s, f in zip(saliency.flatten(1), truth[0].flatten(1) > 0, strict=True)])

    def _area(self, s: Tensor, fixated: Tensor) -> Tensor:
        pixels, n = len(s), int(fixated.sum())
        above = (pixels - self._below(s))[fixated].sort().values  # pixels at least as salient as each fixation
        i = torch.arange(1, n + 1, dtype=s.dtype, device=s.device)
        ends = s.new_zeros(1), s.new_ones(1)
        tp = torch.cat([ends[0], i / n, ends[1]])
        fp = torch.cat([ends[0], (above - i) / max(pixels - n, 1), ends[1]])
        return torch.trapezoid(tp, fp)

    def _below(self, s: Tensor) -> Tensor:
        """How many pixels each pixel exceeds."""
        if self.ties == "together":
            return torch.searchsorted(s.sort().values, s)
        shuffle = torch.randperm(len(s), generator=torch.Generator().manual_seed(self.seed)).to(s.device)
        order = shuffle[s[shuffle].argsort(stable=True)]
        return torch.empty_like(order).scatter_(0, order, torch.arange(len(s), device=s.device))
