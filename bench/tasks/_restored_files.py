"""Restored pictures in files beside files of the true ones: what pictures and CT slices share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from typing_extensions import override

from bench.evaluation import EvaluationSet
from bench.method import Batch, Method, param
from bench.operators.images import clip
from bench.task import Scores
from bench.tasks._comparison import Comparison
from bench.tasks._elsewhere import BesideFiles, Lazily


@dataclasses.dataclass(kw_only=True, eq=False)
class RestoredFiles(BesideFiles, Comparison):
    """Base of tasks that compare restored pictures with true ones of the same names. A subclass reads a file: `_read_output`."""

    observed: str = param("", "folder of what was restored, files called as the true ones, or a file: shown beside the results")

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        return self._ranked(super().score(method, progress))

    @override
    def _pictures_of(self, method: Method, name: str) -> dict[str, Tensor]:
        batch = self._observe(name)
        assert batch.target is not None
        restored: Tensor = method.restore(batch.without_target())  # type: ignore[attr-defined]
        found = {"restored": clip(restored).nan_to_num()[0], "target": batch.target[0]}
        return found | ({"observed": batch.observed[0]} if self.observed else {})

    def _read_truth(self, file: Path, name: str) -> Tensor:
        """The true picture, as a restored one is read."""
        return self._read_output(file, name)

    def _read_input(self, file: Path, name: str) -> Tensor:
        """What was restored, as it is shown."""
        return self._read_output(file, name)

    @functools.cached_property
    @override
    def _test(self) -> EvaluationSet:
        names = list(self._truth)
        return EvaluationSet(Lazily(names, self._observe), dict(zip(names, names, strict=True)))

    def _observe(self, name: str) -> Batch:
        """A true picture with what was restored; all black where that is not given."""
        target = self._read_truth(self._truth[name], name)[None].to(self.device)
        observed = self._read_input(self._inputs[name], name)[None].to(self.device) if self.observed else torch.zeros_like(target)
        return Batch(observed, target, names=(name,))

    @functools.cached_property
    def _inputs(self) -> dict[str, Path]:
        """Name -> file of what was restored."""
        return self._beside(self.observed)
