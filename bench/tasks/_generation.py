"""What generative tasks share: sets of samples judged beside real ones by whichever metrics can be computed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.cards import Card
from bench.dataset import Split
from bench.errors import UsageError
from bench.method import Method, param
from bench.metric import SampleMetric
from bench.metrics.prdc import PRDC
from bench.offers import Capability, FeatureCritic
from bench.operators.images import clip
from bench.spec import parse
from bench.store.record import sampling_error
from bench.task import Scores, Task
from bench.tasks._cached import cached_method
from bench.tasks._metrics import few, usable
from datasets.reading.sets_in_files import read_samples

_AT_ONCE = 500  # samples
_REFERENCES = 10_000  # training samples at most that samples are compared with
_COSTED = 64  # samples that the cost metrics draw at once

Against = Literal["test", "train"]


@dataclasses.dataclass(kw_only=True, eq=False)
class Generation(Task):
    """Learn a distribution from samples. A subclass has the data and the default networks."""

    verb: ClassVar[str] = "sample"
    judging_options: ClassVar[frozenset[str]] = frozenset({"metrics", "references"})

    data: str
    samples: int = param(1000, "drawn from a method and, at most, from the test split, to be compared")
    references: int = param(0, "real samples of the test split at most; 0: as many as `samples`")
    metrics: tuple[str, ...] = param((), "of sets of samples; the first one chooses the best step")
    watched: int = param(1, "how many metrics, from the first, are computed in validation")
    z_dim: int = param(64, "entries of a latent")

    @classmethod
    @override
    def training_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """And the metrics that are watched, of which the first chooses the best weights."""
        watched = {"metrics": tuple(options["metrics"])[: options.get("watched", cls.watched)]} if options.get("metrics") else {}
        return super().training_options(options) | watched

    def __post_init__(self) -> None:
        if self.samples < 2 or self.z_dim < 1 or not 1 <= self.watched <= len(self.metrics):
            raise ValueError("samples must be >= 2, z_dim >= 1, watched from 1 to the number of metrics")

    # -- what a subclass has
    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (d,) or (C, H, W)."""
        raise NotImplementedError

    @property
    def classes(self) -> int:
        """How many labels there are; 0 where there are none."""
        raise NotImplementedError

    def generator(self) -> nn.Module:
        """The default generator: N x z_dim latents to N x shape."""
        raise NotImplementedError

    def critic(self, outputs: int = 1) -> FeatureCritic:
        """The default critic: N x shape to N raw scores, or N x outputs."""
        raise NotImplementedError

    def real(self, split: Split, n: int) -> Tensor:
        """At most n real samples of a split on the device, always the same."""
        raise NotImplementedError

    def bind_metric(self, metric: SampleMetric) -> SampleMetric:
        """The metric with what only the task can give it; unchanged by default.

        Raises:
            Unavailable: it makes no sense on these data.
        """
        return metric

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Labels, where the data have any."""
        return frozenset({"labels", "files"} if self.classes else {"files"})

    @override
    def components(self) -> list[tuple[str, str]]:
        metrics = [part for spec, metric in self._metrics[0].items() for part in (("metric", spec), *metric.components())]
        return [("dataset", self.data), *metrics]

    @override
    def cards(self) -> dict[str, Card]:
        return {
            _column(name, spec): card
            for spec, metric in self._metrics[0].items()
            for name, card in metric.cards(fake=self.samples, real=len(self._references(metric.against))).items()
        }

    @override
    def notes(self) -> dict[str, str]:
        """Metrics that cannot be computed; whether those that count shares rest on few samples."""
        missing = {f"unavailable.{spec}": reason for spec, reason in self._metrics[1].items()}
        counted = [metric for metric in self._metrics[0].values() if isinstance(metric, PRDC)]
        least = min([self.samples, *(len(self._references(metric.against)) for metric in counted)])
        return missing | (few(least, "test samples", "precision, recall and coverage") if counted else {})

    # -- judging
    @override
    def validate(self, method: Method) -> dict[str, float]:
        """The watched metrics on the validation split; all but the first only where they are finite."""
        fake, values = self.draw_from(method, self.samples), dict[str, float]()
        for spec, metric in list(self._metrics[0].items())[: self.watched]:
            real = self._references("train") if metric.against == "train" else self._validation
            values |= {_column(name, spec): value for name, value in metric(fake, real).items() if "/" not in name}
        first = next(iter(values))
        return {column: value for column, value in values.items() if column == first or torch.tensor(value).isfinite()}

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """All metrics on the test split. A number that does not exist, such as the evenness of no modes, is left out."""
        total = self.samples + len(self._metrics[0])
        fake = self.draw_from(method, self.samples, lambda done: progress(done, total))
        values, summary, cards = dict[str, float](), dict[str, float](), self.cards()
        for done, (spec, metric) in enumerate(self._metrics[0].items(), self.samples + 1):
            found = {_column(name, spec): value for name, value in metric(fake, self._references(metric.against)).items()}
            values |= {column: value for column, value in found.items() if column in cards and value == value}
            summary |= {column: value for column, value in found.items() if column not in cards}
            errors = metric.sampling_errors(fake, self._references(metric.against))
            summary |= {sampling_error(_column(name, spec)): error for name, error in errors.items()}
            progress(done, total)
        return Scores(values, summary=summary)

    def draw_from(self, method: Method, n: int, progress: Callable[[int], None] = lambda done: None) -> Tensor:
        """N samples of a method: n x shape, pictures clipped to [0, 1].

        Raises:
            ValueError: they have another shape.
        """
        parts: list[Tensor] = []
        for start in range(0, n, _AT_ONCE):
            parts.append(part := method.sample(min(_AT_ONCE, n - start)))  # type: ignore[attr-defined]
            if part.shape[1:] != self.shape:
                raise ValueError(f"{type(method).__name__}.sample returned {tuple(part.shape)} for samples of shape {self.shape}")
            progress(start + len(part))
        fake = torch.cat(parts).float()
        return clip(fake) if fake.dim() == 4 else fake

    @override
    def sample(self) -> int:
        """How many samples the cost metrics draw."""
        return _COSTED

    def read_samples(self, path: Path) -> Tensor:
        """See `bench.offers.SamplesTask`. Raises UsageError where there are fewer than `samples`."""
        x = read_samples(path, self.shape, self.samples)
        if len(x) < self.samples:
            raise UsageError(f"{path} holds {len(x)} samples, the task draws {self.samples}: give --set samples={len(x)}, or more samples")
        return x

    # -- data and metrics, made when first needed
    @functools.cached_property
    def _validation(self) -> Tensor:
        return self.real("validation", self.samples)

    @cached_method
    def _references(self, against: Against) -> Tensor:
        return self.real(against, self.references or self.samples if against == "test" else _REFERENCES)

    @functools.cached_property
    def _metrics(self) -> tuple[dict[str, SampleMetric], dict[str, str]]:
        return usable({spec: spec for spec in self.metrics}, SampleMetric, "sets of samples", configure=self.bind_metric)


def _column(name: str, spec: str) -> str:
    """A number's name with the options of the metric that yields it: precision[net=squeezenet1_0]."""
    return str(dataclasses.replace(parse(spec), name=name))
