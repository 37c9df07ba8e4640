"""Diversity: similarity between pairs of samples, the measure of Odena, Olah and Shlens (AC-GAN, ICML 2017, arXiv 1610.09585, Sec. 4.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.metric import SampleMetric
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSimilarity(SampleMetric):
    """Mean similarity of random pairs of fakes; above that of pairs of real samples, a remark, fakes resemble each other too much.

    The paper takes MS-SSIM within a class; `ms_ssim` needs sides above 160 pixels, `ssim` above 10. Another order of the samples gives
    other pairs.
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    definition: ClassVar[str] = "mean structural similarity of random pairs of samples (after Odena et al. 2017)"

    measure: Literal["ssim", "ms_ssim"] = param("ssim", "the similarity of two samples")
    pairs: int = param(1000, "random pairs, averaged over")
    seed: int = param(0, "of the pairs")

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ValueError(f"pairs must be >= 1, not {self.pairs}")

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", self.measure)]

    @override
    def compare(self, fake: Tensor, real: Tensor) -> Mapping[str, Tensor | float]:
        """Return the means. Raises UsageError for points."""
        if fake.ndim != 4:
            raise UsageError(f"pair_similarity compares pictures, not points of {fake.shape[1]} dimensions")
        return {"pair_similarity": self._mean(fake), "pair_similarity/real": self._mean(real)}

    def _mean(self, x: Tensor) -> Tensor:
        similarity = registry.make("metric", self.measure)
        rng = torch.Generator().manual_seed(self.seed)
        first = torch.randint(len(x), (self.pairs,), generator=rng)
        other = (first + torch.randint(1, len(x), (self.pairs,), generator=rng)) % len(x)  # never itself
        chunks = torch.split(torch.stack((first, other)).to(x.device), 128, dim=1)  # 2 x 128 each
        return torch.cat([similarity(x[i], x[j]) for i, j in chunks]).mean()
