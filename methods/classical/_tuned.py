"""Procedures whose options are chosen on training pictures, as part of the trial: the search is their training, and so on record."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import AnyTask, Batch, Logs, Method
from bench.offers import Capability, RestorationTask, TomographyTask
from bench.operators import ct
from methods.classical._noise_level import noise_level

Candidate = Any
"""An HP whose every field holds one value of those that were given."""

_CROPS, _SCANS = 24, 6  # training pictures that a candidate is tried on; the same for all


@dataclasses.dataclass(frozen=True, kw_only=True)
class TunedHP:
    """Options that are given as several values are tuned: all combinations are tried, the one of least squared error is used."""

    def values(self, name: str) -> tuple[Any, ...]:
        """The values that an option is tried with; one where it is given as one."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,)

    @property
    def candidates(self) -> list[Self]:
        """Every combination of the values."""
        names = [f.name for f in dataclasses.fields(self)]
        return [dataclasses.replace(self, **dict(zip(names, choice))) for choice in itertools.product(*map(self.values, names))]

    @property
    def steps(self) -> int:
        """Candidates to try; none where there is no choice."""
        count = len(self.candidates)
        return count if count > 1 else 0


class Tuned(Method[AnyTask]):
    """A procedure without weights. Subclasses give `HP` (fields that may be tuples) and `attempt`."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    HP: ClassVar[Any] = TunedHP

    @override
    def build(self, task: AnyTask) -> None:
        self.errors = torch.zeros(0)  # of the candidates so far

    def attempt(self, batch: Batch, hp: Candidate) -> Tensor:
        """Restore N x C x H x W pictures with one candidate."""
        raise NotImplementedError

    def examples(self, data: Iterator[Batch]) -> Batch:
        """Training pictures to try the candidates on."""
        batches = [next(data) for _ in range(_CROPS)]
        return Batch(torch.cat([b.observed for b in batches]), torch.cat([b.truth for b in batches]), sigma=batches[0].sigma)

    def shown(self, x: Tensor) -> Tensor:
        """Pictures as the squared error of a candidate sees them: unchanged by default."""
        return x

    @override
    def prepare(self, data: Iterator[Batch]) -> None:
        """Keep some training pictures."""
        self.kept = {name: value for name, value in vars(self.examples(data)).items() if value is not None}

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Try one candidate an update."""
        batch = Batch(**self.kept)
        while self.t < self.hp.steps:
            hp = self.hp.candidates[self.t]
            mse = (self.shown(self.attempt(batch, hp).clamp(0, 1)) - self.shown(batch.truth)).square().mean()
            self.errors = torch.cat([self.errors.to(mse), mse[None]])
            self.t += 1
            yield {"mse": mse, **dataclasses.asdict(hp)}

    @property
    def chosen(self) -> Candidate:
        """The best candidate so far; the middle one before any was tried."""
        candidates = self.hp.candidates
        return candidates[int(self.errors.argmin()) if len(self.errors) else len(candidates) // 2]

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1]."""
        return self.attempt(batch, self.chosen).clamp(0, 1)


class Filter(Tuned[RestorationTask]):
    """A filter of noisy pictures. Subclasses give `HP` and `filter`."""

    def filter(self, y: Tensor, sigma: Tensor, hp: Candidate) -> Tensor:
        """Restore N x C x H x W pictures whose noise has the standard deviations `sigma`, N x 1 x 1 x 1 on [0, 1], with one candidate."""
        raise NotImplementedError

    @override
    def attempt(self, batch: Batch, hp: Candidate) -> Tensor:
        """Filter with the level of the noise that the batch states, or else an estimate."""
        return self.filter(batch.observed, noise_level(batch.observed, batch.sigma), hp)


class Reconstruction(Tuned[TomographyTask]):
    """A way from sinograms to slices, tuned on whole training scans for the window in which slices are judged.
    Subclasses give `HP` and `attempt`.
    """

    needs: ClassVar[frozenset[Capability]] = frozenset({"sinogram"})

    @override
    def build(self, task: TomographyTask) -> None:
        super().build(task)
        self.scanner = task.scanner

    @override
    def examples(self, data: Iterator[Batch]) -> Batch:
        """Crops have no sinograms: the task hands out whole scans."""
        return self.task.scans(_SCANS)

    def rays(self, batch: Batch) -> Tensor:
        """The noisy line integrals of a batch, N x V x D, which a task that offers "sinogram" brings."""
        assert batch.sinogram is not None
        return batch.sinogram

    @override
    def shown(self, x: Tensor) -> Tensor:
        """Seen through the window of the abdomen."""
        return ct.windowed(x, "abdomen")
