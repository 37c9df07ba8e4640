"""The mean of the training targets, whatever is observed: what a method that looks at its input has to beat.

Departures: none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask


class MeanImage(Method[RestorationTask]):
    """The constant picture of least squared error. It learns the size of a target from that of its observation."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"unpaired"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """How many targets are averaged."""

        steps: int = param(500, "batches")
        batch_size: int = param(16, "pictures a batch")

    hp: HP

    @override
    def prepare(self, data: Iterator[Batch]) -> None:
        """Start with the mean of one batch."""
        self.mean, self.scale = _look(next(data))

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """A running mean."""
        while self.t < self.hp.steps:
            new, self.scale = _look(next(data))
            change = (new - self.mean) / (self.t + 2)  # `prepare` saw the first
            self.mean += change
            self.t += 1
            yield {"change": change.abs().mean()}

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1]: the mean at the size of the target."""
        size = [round(side * ratio) for side, ratio in zip(batch.observed.shape[-2:], self.scale)]
        return F.interpolate(self.mean, size=size, mode="bilinear").expand(len(batch), -1, -1, -1).clamp(0, 1)


def _look(batch: Batch) -> tuple[Tensor, list[float]]:
    """The mean target, 1 x C x H x W, and how much larger than its observation it is, by axis."""
    assert batch.truth is not None
    pairs = zip(batch.truth.shape[-2:], batch.observed.shape[-2:])
    return batch.truth.mean(0, keepdim=True), [target / observed for target, observed in pairs]
