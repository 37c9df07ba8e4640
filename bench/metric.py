"""What a metric is: a number with a direction, a unit and a card (the protocol that decides it)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.cards import Card
from bench.errors import UsageError
from bench.statistics.intervals import SHARES

if TYPE_CHECKING:
    from torch import Tensor

    from bench.method import Batch, Method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """Base of every metric. Options are dataclass fields; they all stand on the card."""

    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]
    definition: ClassVar[str]  # one sentence with its source, printed on the card
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)  # between which its values lie

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
            bounds=self.bounds,
        )

    def require(self) -> None:
        """Raise `bench.errors.Unavailable` with what is missing and where to put it; nothing by default."""


class ImageMetric(Metric):
    """A full-reference score of restored images, one value an image."""

    ceiling: ClassVar[float] = math.inf  # what better scores, infinite ones among them, count as in a mean over validation pictures

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


class LabelMetric(Metric):
    """A score of predicted classes, one value an example."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Score predictions.

        Args:
            logits: N x K, float: scores of the classes before the softmax.
            labels: N, int64: the true classes.

        Returns:
            N float64 values on the CPU.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One of the several numbers that a metric yields in one pass."""

    higher_is_better: bool
    unit: str
    definition: str
    bounds: tuple[float, float] = (-math.inf, math.inf)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleMetric(Metric):
    """A score of a set of samples beside a set of real ones. Siblings define `compare`.

    How a task uses one:

        metric = registry.make("metric", spec)
        metric.require()                                     # Unavailable: left out, with the reason
        cards = metric.cards(fake=2500, real=2500)           # name -> card; label the columns with name + the options of the spec
        values = metric(fake, real[metric.against])          # names of `cards`; any other key is a remark for `Scores.summary`
        parts = [("metric", spec), *metric.parts()]          # for `Task.components`: the feature network's code counts, too

    Everything runs on the device of the samples; the order of samples changes nothing beyond rounding, unless the docstring says so.
    """

    columns: ClassVar[Mapping[str, Column]] = {}  # several numbers of one pass; empty: one number, under the metric's own name
    against: ClassVar[Literal["test", "train"]] = "test"  # which real samples are wanted

    def __call__(self, fake: Tensor, real: Tensor) -> dict[str, float]:
        """Score a set of samples.

        Args:
            fake: n x d (points), or n x C x H x W, float in [0, 1], gray or RGB (pictures), as `sample` returns them.
            real: m x d or m x C x H x W, same kind, on the same device.

        Returns:
            Name -> value: every name of `cards`, then remarks (such as a bandwidth). All nan where a sample is not finite.

        Raises:
            UsageError: the two sets differ in kind or are too small for the metric, or a real sample is not finite.
            Unavailable: as `require`.
        """
        import torch

        if fake.ndim not in (2, 4) or fake.shape[1:] != real.shape[1:]:
            raise UsageError(f"a sample metric wants two N x d or N x C x H x W sets of one kind, not {tuple(fake.shape)} and {tuple(real.shape)}")
        if min(len(fake), len(real)) < self.least:
            raise UsageError(f"{self._name} needs {self.least} samples of either kind, not {len(fake)} and {len(real)}")
        if not real.isfinite().all():
            raise UsageError(f"{self._name}: a real sample is not finite")
        if not fake.isfinite().all():
            return dict.fromkeys(self.columns or (self._name,), float("nan"))
        with torch.no_grad():
            values = self.compare(fake, real)
        return {name: float(value) for name, value in values.items()}

    def sampling_errors(self, fake: Tensor, real: Tensor) -> dict[str, float]:
        """Name -> standard error of each number over the samples that were drawn from the method: a jackknife that leaves out a tenth at a time.

        Args:
            fake: as in `__call__`; the samples are exchangeable.
            real: likewise, always the same.

        Returns:
            Without the numbers that no tenth moves (a share of 1): that says nothing of their error. Empty where there are too few samples, or
            where a metric is too dear to be computed `SHARES` times.
        """
        if len(fake) < max(2, self.least) * SHARES:
            return {}
        import torch

        from bench.feature import part_of

        share = torch.arange(len(fake), device=fake.device) % SHARES
        left = [self(part_of(fake, share != i), real) for i in range(SHARES)]
        numbers = {name: torch.tensor([values[name] for values in left], dtype=torch.float64) for name in self.columns or (self._name,)}
        return {name: float(((SHARES - 1) ** 2 / SHARES * x.var()).sqrt()) for name, x in numbers.items() if 0 < x.var() < math.inf}

    def compare(self, fake: Tensor, real: Tensor) -> Mapping[str, Tensor | float]:
        """The numbers, of sets that `__call__` has checked."""
        raise NotImplementedError

    def cards(self, *, fake: int, real: int) -> dict[str, Card]:
        """Name -> card of every number, for that many samples (which decide it, too)."""
        card = self.card()
        card = dataclasses.replace(card, protocol={**card.protocol, "fake": fake, "real": real})
        several = {name: dataclasses.replace(card, metric=name, **dataclasses.asdict(column)) for name, column in self.columns.items()}
        return several or {card.metric: card}

    def parts(self) -> list[tuple[str, str]]:
        """(kind, spec) of the parts inside this metric."""
        return []

    @property
    def least(self) -> int:
        """How many samples are needed of either kind."""
        return 2

    @property
    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]


class SaliencyMetric(Metric):
    """A score of saliency maps, one value a picture. Siblings define `score`.

    `reads` names what a call takes after the map, in that order: "target" (the density of fixations, or an object's mask), "mask" (0 or 1),
    "fixations" (0 or 1), "others" (fixations on other pictures), "baseline" (the map to beat, made without seeing the picture).
    """

    reads: ClassVar[tuple[str, ...]] = ("target",)

    def __call__(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        """Score saliency maps.

        Args:
            saliency: N x 1 x H x W, any scale.
            truth: what `reads` names, same shape.

        Returns:
            N float64 values on the CPU, in the order of the batch; nan where a map is not finite everywhere.

        Raises:
            UsageError: shapes differ, there is another number of maps than `reads` names, or a picture has no fixations.
        """
        shapes = [tuple(m.shape) for m in (saliency, *truth)]
        if len(truth) != len(self.reads) or len({*shapes}) > 1 or saliency.ndim != 4 or saliency.shape[1] != 1:
            raise UsageError(f"{type(self).__name__} wants a map and {', '.join(self.reads)}, all N x 1 x H x W, not {', '.join(map(str, shapes))}")
        import torch

        from bench.operators.images import per_image

        whole = torch.stack([m.isfinite().flatten(1).all(1) for m in (saliency, *truth)]).all(0)
        for name, marks in zip(self.reads, truth, strict=True):
            if name in {"fixations", "others"} and not (marks[whole] > 0).flatten(1).any(1).all():
                raise UsageError(f"{type(self).__name__}: a picture has no {name}")
        values = torch.full((len(saliency),), math.nan, dtype=torch.float64)
        if whole.any():
            values[whole.cpu()] = per_image(self.score(*(m[whole, 0].double() for m in (saliency, *truth))))
        return values

    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        """N values of N x H x W maps that `__call__` has checked, all float64."""
        raise NotImplementedError
