"""Inception score of Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen (NIPS 2016, arXiv 1606.03498, Sec. 4)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.metrics._class_score import class_score
from bench.metrics._samples import FeatureMetric
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class InceptionScore(FeatureMetric):
    """Mean over splits after a shuffle, by torch-fidelity's rule (so it depends on the order of samples a little); see `class_score`."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (1.0, math.inf)
    definition: ClassVar[str] = "Inception score (Salimans et al. 2016), logits without bias of TensorFlow's Inception of 2015-12-05"

    net: str = dataclasses.field(default="inception", init=False)
    splits: int = param(10, "parts of the shuffled samples, averaged over")
    seed: int = param(2020, "of the shuffle; that of torch-fidelity")

    def __post_init__(self) -> None:
        if self.splits < 1:
            raise ValueError(f"splits must be >= 1, not {self.splits}")

    @property
    @override
    def min_samples(self) -> int:
        return self.splits

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        """Return the mean over splits; their standard deviation as a remark."""
        order = torch.from_numpy(np.random.RandomState(self.seed).permutation(len(fake))).to(fake.device)
        log_p = self.network.logits(fake)[order].double().log_softmax(1)
        bounds = [i * len(fake) // self.splits for i in range(self.splits + 1)]
        scores = torch.stack([class_score(log_p[a:b]) for a, b in itertools.pairwise(bounds)])
        return {"inception_score": scores.mean(), "inception_score/std": scores.std(correction=0)}
