"""What a metric is: a number with a direction, a unit and a card (the protocol that decides it)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from bench.cards import Card
from bench.errors import UsageError
from bench.feature import subset
from bench.operators.images import in_pieces
from bench.statistics.intervals import SHARES

if TYPE_CHECKING:
    from bench.method import Batch, Method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """Base of every metric. Options are dataclass fields (`bench.spec.param`), and all of them stand on the card.

    Attributes:
        higher_is_better: which way is better.
        unit: what the number counts, such as "dB"; empty for a pure number.
        definition: one sentence with its source, printed on the card.
        title: how tables head the number; empty: as its column is called.
        bounds: the least and the largest value that the number can have.
    """

    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]
    definition: ClassVar[str]
    title: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def protocol(self) -> dict[str, Any]:
        """What decides the number besides the options, as JSON values: data range, versions, weights' sha256. Raises as `require`."""
        return {}

    def card(self) -> Card:
        """The card of this metric with these options."""
        return Card(
            metric=self._name,
            definition=self.definition,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
            protocol={**dataclasses.asdict(self), **self.protocol()},
            bounds=self.bounds,
            title=self.title,
        )

    def require(self) -> None:
        """Raise `bench.errors.Unavailable` with what is missing and where to put it; nothing by default."""

    @property
    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]


class ImageMetric(Metric):
    """A full-reference score of restored images, one value an image. A subclass defines `score`."""

    ceiling: ClassVar[float] = math.inf  # scores above it count as this much in a mean over validation pictures

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """Score restored images.

        Args:
            x_hat: restored, N x C x H x W, float in [0, 1] (values outside are clipped where the card says so), RGB or one channel.
            x: the sharp truth, same shape.

        Returns:
            N float64 values on the CPU, in the order of the batch.

        Raises:
            UsageError: shapes differ, are not N x 1|3 x H x W, or the images are too small for the metric's window.
        """
        if x_hat.shape != x.shape or x.ndim != 4 or x.shape[1] not in (1, 3):
            raise UsageError(
                f"a metric wants two N x C x H x W batches of one shape with 1 or 3 channels, not {tuple(x_hat.shape)} and {tuple(x.shape)}"
            )
        return in_pieces(self.score, x_hat, x)

    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """One value an image, N, from batches of one shape, on their device. Raises as a call."""
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
    """What a trained method costs to use: time, memory, parameters, arithmetic."""

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
class MetricColumn:
    """One of the several numbers that a metric yields in one pass; fields as those of `Metric`."""

    higher_is_better: bool
    unit: str
    definition: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    title: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleMetric(Metric):
    """A score of a set of samples beside a set of real ones. A subclass defines `compare`.

    How a task uses one:

        metric = registry.make("metric", spec)
        metric.require()                                     # Unavailable: left out, with the reason
        cards = metric.cards(fake=2500, real=2500)           # name -> card; label the columns with name + the options of the spec
        values = metric(fake, real[metric.against])          # names of `cards`; any other key is a remark for `Scores.summary`
        parts = [("metric", spec), *metric.components()]     # for `Task.components`: the feature network's code counts, too

    Everything runs on the device of the samples; the order of samples changes nothing beyond rounding, unless the docstring says so.
    """

    columns: ClassVar[Mapping[str, MetricColumn]] = {}  # several numbers of one pass; empty: one number, under the metric's own name
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
        if fake.ndim not in (2, 4) or fake.shape[1:] != real.shape[1:]:
            shapes = f"{tuple(fake.shape)} and {tuple(real.shape)}"
            raise UsageError(f"a sample metric wants two N x d or N x C x H x W sets of one kind, not {shapes}")
        if min(len(fake), len(real)) < self.min_samples:
            raise UsageError(f"{self._name} needs {self.min_samples} samples of either kind, not {len(fake)} and {len(real)}")
        if not real.isfinite().all():
            raise UsageError(f"{self._name}: a real sample is not finite")
        if not fake.isfinite().all():
            return dict.fromkeys(self.columns or (self._name,), float("nan"))
        with torch.no_grad():
            values = self.compare(fake, real)
        return {name: float(value) for name, value in values.items()}

    def sampling_errors(self, fake: Tensor, real: Tensor) -> dict[str, float]:
        """Name -> standard error of each number over the draws of samples: a jackknife that leaves out a tenth of them at a time.

        Args:
            fake: as in `__call__`; the samples are exchangeable.
            real: likewise, always the same.

        Returns:
            Only the numbers that some tenth moves. Empty where there are too few samples, or a metric takes too long for `SHARES` times.
        """
        if len(fake) < max(2, self.min_samples) * SHARES:
            return {}
        share = torch.arange(len(fake), device=fake.device) % SHARES
        left = [self(subset(fake, share != i), real) for i in range(SHARES)]
        numbers = {name: torch.tensor([values[name] for values in left], dtype=torch.float64) for name in self.columns or (self._name,)}
        return {name: float(((SHARES - 1) ** 2 / SHARES * x.var()).sqrt()) for name, x in numbers.items() if 0 < x.var() < math.inf}

    def compare(self, fake: Tensor, real: Tensor) -> Mapping[str, Tensor | float]:
        """Name -> number of two sets that `__call__` has checked: every name of `cards`; remarks are named "<metric>/<what>"."""
        raise NotImplementedError

    def cards(self, *, fake: int, real: int) -> dict[str, Card]:
        """Name -> card of every number, for that many samples (which decide it, too)."""
        card = self.card()
        card = dataclasses.replace(card, protocol={**card.protocol, "fake": fake, "real": real})
        several = {name: dataclasses.replace(card, metric=name, **dataclasses.asdict(column)) for name, column in self.columns.items()}
        return several or {card.metric: card}

    def components(self) -> list[tuple[str, str]]:
        """(kind, spec) of the parts that the metric is made of, such as its feature network: their code decides the number too."""
        return []

    @property
    def min_samples(self) -> int:
        """The fewest samples of either kind that the number can be computed from."""
        return 2


class SaliencyMetric(Metric):
    """A score of saliency maps, one value a picture. A subclass defines `score`.

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
            wanted, given = ", ".join(self.reads), ", ".join(map(str, shapes))
            raise UsageError(f"{type(self).__name__} wants a map and {wanted}, all N x 1 x H x W, not {given}")
        maps = [m[:, 0] for m in (saliency, *truth)]
        lows, highs = (torch.stack([extreme(m.flatten(1), 1) for m in maps]) for extreme in (torch.amin, torch.amax))
        whole = (lows.isfinite() & highs.isfinite()).all(0)
        if not whole.all():
            maps, highs = [m[whole] for m in maps], highs[:, whole]
        for name, most in zip(self.reads, highs[1:], strict=True):
            if name in {"fixations", "others"} and not (most > 0).all():
                raise UsageError(f"{type(self).__name__}: a picture has no {name}")
        values = torch.full((len(saliency),), math.nan, dtype=torch.float64)
        if len(maps[0]):
            values[whole.cpu()] = in_pieces(lambda *some: self.score(*(m.double() for m in some)), *maps)
        return values

    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        """One value a picture, N, float64, from N x H x W float64 maps that `__call__` has checked; `truth` in the order of `reads`."""
        raise NotImplementedError
