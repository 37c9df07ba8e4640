"""Logistic regression on features of which most are rare, as words are: what adaptive rates were made for.

Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011, Sec. 1.3: rare features
that decide get large steps. Data are made up: feature j is 1 with probability min(1/2, 5 / j^power), labels
follow a logistic model of them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.dataset import SPLITS, Split
from bench.method import Samples, param
from bench.operators.transfer import send
from bench.task import mix
from bench.tasks._cached import cached_method
from bench.tasks._classification import Classification

_OFTEN = 5.0  # so many features are about equally common
_SCALE = 1.0  # of the true weights


@dataclasses.dataclass(kw_only=True, eq=False)
class SparseLogistic(Classification):
    """Two classes, a convex loss, from weights 0; random batches of the training examples."""

    verb: ClassVar[str] = "minimise"

    l2: float = param(1e-3, "times half the squares of all weights (not biases), added to what is descended")
    features: int = param(500, "of an example")
    count: int = param(2000, "examples of each split")
    power: float = param(1.0, "how fast the frequencies of features fall")
    data_seed: int = param(0, "of the examples")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.features, self.count) < 1 or self.power < 0:
            raise ValueError("features and count must be >= 1, power >= 0")

    @override
    def model(self) -> nn.Module:
        """N x features to N x 2 logits; all weights 0."""
        line = nn.Linear(self.features, self.classes)
        nn.init.zeros_(line.weight)
        nn.init.zeros_(line.bias)
        return line

    @override
    def batch(self, n: int, rng: torch.Generator) -> Samples:
        """N training examples, drawn with replacement."""
        train = self.examples("train")
        index = send(torch.randint(len(train), (n,), generator=rng), self.device)
        assert train.labels is not None
        return Samples(train.x[index], train.labels[index])

    @property
    @override
    def classes(self) -> int:
        return 2

    @override
    def fingerprint(self) -> dict[str, str]:
        return {split: _hashed(self.examples(split)) for split in SPLITS}

    @cached_method
    @override
    def examples(self, split: Split) -> Samples:
        """Features of 0 and 1 (n x features, float32) and labels."""
        rng = torch.Generator().manual_seed(mix(self.data_seed, SPLITS.index(split)))
        frequency = (_OFTEN / torch.arange(1, self.features + 1) ** self.power).clamp(max=0.5)
        x = (torch.rand(self.count, self.features, generator=rng) < frequency).float()
        labels = (torch.rand(self.count, generator=rng) < (x @ self._weights).sigmoid()).long()
        return Samples(x.to(self.device), labels.to(self.device))

    @functools.cached_property
    def _weights(self) -> Tensor:
        """The true weights: features, float32."""
        return _SCALE * torch.randn(self.features, generator=torch.Generator().manual_seed(mix(self.data_seed, len(SPLITS))))


def _hashed(examples: Samples) -> str:
    assert examples.labels is not None
    return hashlib.sha256(examples.x.cpu().numpy().tobytes() + examples.labels.cpu().numpy().tobytes()).hexdigest()[:16]
