"""What tasks of classification share: cross-entropy to descend, loss and accuracy on held-out examples to be judged by."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typing_extensions import override

from bench.cards import Card
from bench.dataset import Split
from bench.method import Samples, param
from bench.metrics.accuracy import Accuracy
from bench.metrics.cross_entropy import CrossEntropy
from bench.task import Scores
from bench.tasks._minimise import Minimise

_AT_ONCE = 1000  # examples


@dataclasses.dataclass(kw_only=True, eq=False)
class Classification(Minimise):
    """Learn classes from examples (`Samples` with labels). A subclass has the model and the examples."""

    l2: float = param(0.0, "times half the squares of all weights (not biases), added to what is descended")

    def __post_init__(self) -> None:
        if self.l2 < 0:
            raise ValueError(f"l2 must be >= 0, not {self.l2}")

    def examples(self, split: Split) -> Samples:
        """All examples of a split, on the device."""
        raise NotImplementedError

    def groups(self, split: Split) -> Sequence[str]:
        """What each example shows, where several show the same (see `datasets.reading.samples.SampleSet`)."""
        return ()

    @property
    def classes(self) -> int:
        """How many labels there are."""
        raise NotImplementedError

    @property
    @override
    def start_loss(self) -> float:
        """Cross-entropy of a uniform guess: log K nats."""
        return math.log(self.classes)

    @property
    @override
    def averages(self) -> bool:
        """Yes: the penalty adds no noise."""
        return True

    @override
    def loss(self, model: nn.Module, batch: Samples) -> Tensor:
        """Mean cross-entropy, and the penalty."""
        assert batch.labels is not None
        value = cross_entropy(model(batch.x), batch.labels)
        if not self.l2:
            return value
        return value + self.l2 / 2 * torch.stack([p.square().sum() for p in model.parameters() if p.dim() > 1]).sum()

    # -- judging
    @override
    def cards(self) -> dict[str, Card]:
        return {column: metric.card() for column, metric in _METRICS.items()}

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", "accuracy"), ("metric", "cross_entropy")]

    @override
    def measure(self, model: nn.Module, split: Split) -> Scores:
        """Mean over a split, with the value of every example."""
        shown = self.examples(split)
        assert shown.labels is not None
        logits = torch.cat([model(x) for x in torch.split(shown.x, _AT_ONCE)])
        found = {column: metric(logits, shown.labels) for column, metric in _METRICS.items()}
        names = [str(i) for i in range(len(shown))]
        groups = dict(zip(names, self.groups(split)))
        return Scores({k: float(v.mean()) for k, v in found.items()}, {k: (names, v.tolist()) for k, v in found.items()}, groups=groups)


_METRICS: dict[str, Any] = {"accuracy": Accuracy(), "loss": CrossEntropy()}
