"""Filters whose strength is chosen on training pictures, as part of the trial: the search is their training, and so on record."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bench.method import Batch, Logs, Method
from methods.classical._noise_level import noise_level

_CROPS = 24  # training crops that a candidate is tried on; the same for all


@dataclasses.dataclass(frozen=True, kw_only=True)
class TunedHP:
    """Options that are given as several values are tuned: all combinations are tried, the one of least squared error is used."""

    @property
    def candidates(self) -> list[Self]:
        """Every combination."""
        values = {f.name: v if isinstance(v := getattr(self, f.name), tuple) else (v,) for f in dataclasses.fields(self)}
        return [dataclasses.replace(self, **dict(zip(values, choice))) for choice in itertools.product(*values.values())]

    @property
    def steps(self) -> int:
        """Candidates to try; none where there is no choice."""
        count = len(self.candidates)
        return count if count > 1 else 0


class Tuned(Method):
    """A filter of noisy pictures. Subclasses give `HP` (fields that may be tuples) and `filter`."""

    HP: ClassVar[Any] = TunedHP

    def build(self, task: Any) -> None:
        """Nothing was tried yet."""
        self.errors = torch.zeros(0)  # of the candidates so far

    def filter(self, y: Tensor, sigma: Tensor, hp: Any) -> Tensor:
        """Restore N x C x H x W pictures whose noise has the standard deviations `sigma`, N x 1 x 1 x 1 on [0, 1], with one candidate."""
        raise NotImplementedError

    def prepare(self, data: Iterator[Batch]) -> None:
        """Keep some training pictures."""
        batches = [next(data) for _ in range(_CROPS)]
        self.observed, self.target, self.told = torch.cat([b.observed for b in batches]), torch.cat([b.target for b in batches]), batches[0].sigma

    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Try one candidate an update."""
        while self.t < self.hp.steps:
            hp = self.hp.candidates[self.t]
            x = self.filter(self.observed, noise_level(self.observed, self.told), hp).clamp(0, 1)
            mse = (x - self.target).square().mean()
            self.errors = torch.cat([self.errors.to(mse), mse[None]])
            self.t += 1
            yield {"mse": mse, **dataclasses.asdict(hp)}

    @property
    def chosen(self) -> Any:
        """The best candidate so far; the middle one before any was tried."""
        candidates = self.hp.candidates
        return candidates[int(self.errors.argmin()) if len(self.errors) else len(candidates) // 2]

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1]."""
        return self.filter(batch.observed, noise_level(batch.observed, batch.sigma), self.chosen).clamp(0, 1)
