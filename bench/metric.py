"""What a metric is: a number with a direction, a unit and a card (the protocol that decides it)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from bench.cards import Card

if TYPE_CHECKING:
    from torch import Tensor

    from bench.method import Batch, Method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """Base of every metric. Options are dataclass fields; they all stand on the card."""

    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]
    definition: ClassVar[str]  # one sentence with its source, printed on the card

    def protocol(self) -> dict[str, Any]:
        """What else decides the number besides the options: window, data range, library version, weights' sha256."""
        return {}

    def card(self) -> Card:
        """The card of this metric with these options."""
        return Card(
            metric=type(self).__module__.rpartition(".")[2],
            definition=self.definition,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
            protocol={**dataclasses.asdict(self), **self.protocol()},
        )

    def require(self) -> None:
        """Raise `bench.errors.Unavailable` with what is missing and where to put it; nothing by default."""


class ImageMetric(Metric):
    """A full-reference score of restored images, one value an image."""

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """Score restored images.

        Args:
            x_hat: restored, N x C x H x W, float in [0, 1] (values outside are clipped where the card says so), RGB or one channel.
            x: the sharp truth, same shape.

        Returns:
            N float64 values on the CPU, in the order of the batch.

        Raises:
            UsageError: shapes differ, or the images are too small for the metric's window.
        """
        raise NotImplementedError


class CostMetric(Metric):
    """What a trained method costs to use."""

    def __call__(self, method: Method, batch: Batch | int) -> float:
        """Measure one use of a method.

        Args:
            method: built and trained.
            batch: what to `restore`; or how many images to `sample`.

        Returns:
            The cost in `unit`; nan where it does not apply. The state of the method and of torch's random numbers stays as it was.
        """
        raise NotImplementedError
