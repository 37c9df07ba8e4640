"""Classify small pictures: how fast and how well does an update rule train a network?

Networks of growing size on digits, MNIST and CIFAR-10, after DeepOBS (Schneider, Balles, Hennig, ICLR 2019, arXiv:1903.05499),
whose CIFAR-10 problem is data=cifar10,network=3c3d,l2=0.002 with 128 pictures an update (recalled). It augments and standardises
its pictures; this task does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import nn
from typing_extensions import override

from bench import registry
from bench.dataset import SPLITS, Split
from bench.errors import UsageError
from bench.method import Samples, param
from bench.tasks._cached import cached_method
from bench.tasks._classification import Classification
from bench.tasks._splits import skipped_note
from datasets.reading.samples import SampleSet, SampleSource
from methods.networks import classifiers


@dataclasses.dataclass(kw_only=True, eq=False)
class Learn(Classification):
    """Learn to name pictures from random batches of the training split; the validation split chooses, the test split judges."""

    verb: ClassVar[str] = "minimise"

    data: str = param("digits[size=8]", "labelled set of small pictures")
    network: Literal["logistic", "mlp", "conv", "3c3d"] = param("mlp", "that is trained")
    width: int = param(32, "mlp: hidden units; conv: channels of its second layer")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1:
            raise ValueError(f"width must be >= 1, not {self.width}")

    @override
    def model(self) -> nn.Module:
        """N x C x H x W to N x K logits."""
        return _NETWORKS[self.network](tuple(self._split("train").x.shape[1:]), self.classes, self.width)

    @override
    def batch(self, n: int, rng: torch.Generator) -> Samples:
        """N training pictures, drawn with replacement."""
        return self._split("train").draw(n, rng)

    @override
    def examples(self, split: Split) -> Samples:
        """All pictures of a split."""
        pictures = self._split(split)
        return pictures.spread(len(pictures))

    @override
    def groups(self, split: Split) -> Sequence[str]:
        return self._split(split).groups

    @property
    @override
    def classes(self) -> int:
        return len(self._split("train").classes)

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("dataset", self.data), *super().components()]

    @override
    def fingerprint(self) -> dict[str, str]:
        return {f"{self.data}/{split}": self._split(split).fingerprint for split in SPLITS}

    @override
    def notes(self) -> dict[str, str]:
        return super().notes() | skipped_note([line for split in SPLITS for line in self._split(split).skipped])

    @cached_method
    def _split(self, split: Split) -> SampleSet:
        source = registry.make("dataset", self.data)
        pictures = source.open(self.root, split).to(self.device) if isinstance(source, SampleSource) else None
        if pictures is None or pictures.labels is None:
            raise UsageError(f"the task learn needs a labelled set of small pictures, such as digits or cifar10, not {self.data}")
        return pictures


_NETWORKS = {"logistic": classifiers.logistic, "mlp": classifiers.mlp, "conv": classifiers.conv, "3c3d": classifiers.conv3_dense3}
