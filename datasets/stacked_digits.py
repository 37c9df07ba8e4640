"""Three digits as the channels of one picture: 1,000 modes that can be counted (Metz et al., "Unrolled GANs", Sec. 3.3.1, on MNIST)."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import ClassVar

import torch
from typing_extensions import override

from bench import registry
from bench.dataset import SPLITS, Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.samples import SampleSet, SampleSource


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackedDigits(SampleSource):
    """Random triples of the digits of another set, split by split; the label is 100 r + 10 g + b."""

    origin: ClassVar[str] = "made from the digits of scikit-learn, or of another set"
    licence: ClassVar[str] = "that of the digits"
    layout: ClassVar[str] = "nothing, or what the set `of` expects"

    of: str = param("digits", "a set of gray pictures with ten classes: digits[size=32], mnist[size=28], ...")
    train: int = param(25_600, "training pictures")
    validation: int = param(2_000, "validation pictures")
    test: int = param(5_000, "test pictures")
    seed: int = param(0, "of the draws of digits")

    def __post_init__(self) -> None:
        if min(self.train, self.validation, self.test) < 1:
            raise ValueError("train, validation and test must be >= 1")

    @override
    def find(self, root: Path | None) -> Path | None:
        return self._digits().find(root)

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return int(getattr(self, split))

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        digits = self._digits().open(root, split)
        if digits.labels is None or len(digits.classes) != 10 or digits.x.shape[1] != 1:
            raise UsageError(f"stacked_digits[of={self.of}]: give a set of gray pictures with ten classes")
        rng = torch.Generator().manual_seed(1_000 * self.seed + SPLITS.index(split))
        which = torch.randint(len(digits), (self.count(root, split), 3), generator=rng)
        labels = digits.labels[which] @ torch.tensor([100, 10, 1])
        key = hashlib.sha256(f"{digits.fingerprint} {self} {split}".encode()).hexdigest()[:16]
        return SampleSet(x=digits.x[which, 0], fingerprint=key, labels=labels, classes=[f"{code:03d}" for code in range(1000)])

    def _digits(self) -> SampleSource:
        source = registry.make("dataset", self.of)
        if not isinstance(source, SampleSource):
            raise UsageError(f"stacked_digits[of={self.of}]: that is no set of small pictures")
        return source
