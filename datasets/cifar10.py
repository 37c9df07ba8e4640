"""CIFAR-10: 60,000 colour pictures of 32 x 32 in ten classes. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from datasets.reading import cifar
from datasets.reading.samples import SampleSet, SampleSource, sample_set, without_last_tenth

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CIFAR10(SampleSource):
    """The authors' binary version, their Python version (nothing in it is run), or lossless mosaics.
    A tenth of the training set validates.
    """

    origin: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"
    licence: ClassVar[str] = "none stated by the authors: research"
    layout: ClassVar[str] = (
        "cifar-10-batches-bin/data_batch_1.bin .. 5.bin, test_batch.bin; or cifar-10-batches-py/data_batch_1 .. 5, test_batch; "
        "or cifar10*/{train,test}_*.webp of 25 x 40 tiles with labels.json"
    )

    @override
    def find(self, root: Path | None) -> Path:
        names = ("cifar-10-batches-bin", "cifar-10-batches-py")
        return self._below(root, *names, *(f"cifar10/{name}" for name in names), "cifar10", "cifar10_10k")

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        x, labels = cifar.read(self.find(root), test=split == "test")
        rows = without_last_tenth(len(x), split)
        return sample_set(x[rows].copy(), labels[rows].copy(), _CLASSES)
