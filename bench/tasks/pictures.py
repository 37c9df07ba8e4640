"""Pictures that were restored elsewhere, beside their truth: nothing is trained, `outputs[path=FOLDER]` brings what is judged.

The conventions of the literature differ by decibels (see bench/judging/profiles.py): `profile=all` shows each of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.evaluation import EvaluationSet
from bench.judging.gallery import write_items
from bench.judging.profiles import EVERY, require_size
from bench.method import Batch, Method, param
from bench.metric import ImageMetric
from bench.offers import Capability
from bench.operators.images import clip
from bench.task import Scores
from bench.tasks._comparison import Comparison
from bench.tasks._metrics import usable
from datasets.reading.files import hash_files
from datasets.reading.matching import size_of
from datasets.reading.outputs import few_of, is_gray, named_files, read_picture

_SHOWN = 3  # of the worst and of the best pictures


@dataclasses.dataclass(kw_only=True, eq=False)
class Pictures(Comparison):
    """Compare restored pictures with the true ones of the same names; they are read when they are compared, one at a time.

    A picture whose truth is stored without colour is compared in one channel.
    """

    truth: str = param("", "folder of the true pictures, or the file of a single one")
    observed: str = param("", "folder of what was restored, files called as the true ones, or a file: shown beside the results")
    without: tuple[str, ...] = param((), "names of true pictures that are left out")

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Files of restored pictures."""
        return frozenset({"files"})

    @override
    def fingerprint(self) -> dict[str, str]:
        return {"truth/test": hash_files(list(self._truth.values()))}

    @override
    def notes(self) -> dict[str, str]:
        """Those of every task on pictures, and which true pictures are left out."""
        if not self.without:
            return super().notes()
        count = len(self._truth) + len(self.without)
        told = f"{len(self.without)} of {count} true pictures have no restored one: {few_of(self.without)}"
        return super().notes() | {"skipped_files": told}

    # -- training: there is none
    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """Nothing. Raises UsageError: nothing can be trained on what is judged."""
        raise UsageError("the task pictures judges what exists: give outputs[path=FOLDER] as the method")

    # -- judging
    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        scores = super().score(method, progress)
        names, values = next(iter(scores.per_image.values()))
        sign = -1 if next(iter(self._metrics[0].values())).higher_is_better else 1
        self._best_first[method] = [name for _, name in sorted(zip((sign * v for v in values), names, strict=True))]
        return scores

    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """The worst and the best pictures by the first metric."""
        best_first, column = self._best_first[method], next(iter(self._metrics[0]))
        chosen = dict.fromkeys(best_first[:_SHOWN], "best") | dict.fromkeys(best_first[: -_SHOWN - 1 : -1], "worst")
        ordered = sorted(chosen.items(), key=lambda pair: pair[1] == "best")
        write_items(folder, [self._item(method, name, f"{which} by {column}") for name, which in ordered])

    def _item(self, method: Any, name: str, which: str) -> dict[str, Any]:
        """A picture for the gallery."""
        batch = self._observe(name)
        assert batch.target is not None
        restored = clip(method.restore(batch.without_target())).nan_to_num()
        item = {"name": f"{which}: {name}", "kind": "photo", "restored": restored[0], "target": batch.target[0]}
        return item | ({"observed": batch.observed[0]} if self.observed else {})

    @override
    def _read_output(self, file: Path, name: str) -> Tensor:
        """In as many channels as the truth has."""
        return read_picture(file, 1 if is_gray(self._truth[name]) else 3)

    # -- data, read when first needed
    @functools.cached_property
    @override
    def _test(self) -> EvaluationSet:
        names = list(self._truth)
        return EvaluationSet(_Lazily(names, self._observe), dict(zip(names, names, strict=True)))

    def _observe(self, name: str) -> Batch:
        """A true picture with what was restored; all black where that is not given."""
        gray = is_gray(self._truth[name])
        target = read_picture(self._truth[name], 1 if gray else 3)[None].to(self.device)
        observed = read_picture(self._inputs[name], 3)[None].to(self.device) if self.observed else torch.zeros_like(target)
        return Batch(observed, target, names=(name,))

    @functools.cached_property
    @override
    def _metrics(self) -> tuple[dict[str, ImageMetric], dict[str, str]]:
        """Where all conventions are asked for, those that need larger pictures are left out, with that reason."""
        smallest = min(self._truth, key=lambda name: min(size_of(self._truth[name])))

        def tried(metric: ImageMetric) -> ImageMetric:
            if self.profile == EVERY:
                require_size(metric, self._observe(smallest).truth)
            return metric

        return usable(self.metric_specs(), ImageMetric, "pictures", configure=tried)

    @functools.cached_property
    def _truth(self) -> dict[str, Path]:
        """Name -> file of the true pictures that are judged."""
        if not self.truth:
            raise UsageError("the task pictures needs the true ones: give truth=FOLDER")
        found = self._files_of(self.truth)
        if unknown := [name for name in self.without if name not in found]:
            raise UsageError(f"without: {self.truth} has no {unknown[0]}; it has {few_of(found)}")
        if not (judged := {name: file for name, file in found.items() if name not in self.without}):
            raise UsageError(f"none of the {len(found)} pictures of {self.truth} is left to judge")
        return judged

    @functools.cached_property
    def _inputs(self) -> dict[str, Path]:
        """Name -> file of what was restored."""
        found = self._files_of(self.observed)
        if Path(self.observed).expanduser().is_file():
            return dict.fromkeys(self._truth, *found.values())
        if missing := [name for name in self._truth if name not in found]:
            raise UsageError(f"{self.observed} lacks {len(missing)} of the {len(self._truth)} pictures of {self.truth}: {few_of(missing)}")
        return found

    def _files_of(self, path: str) -> dict[str, Path]:
        place = Path(path).expanduser()
        return {place.stem: place} if place.is_file() else named_files(place)

    @functools.cached_property
    def _best_first(self) -> WeakKeyDictionary[Method, list[str]]:
        """Of a method that was scored, the pictures in the order of the first metric."""
        return WeakKeyDictionary()


class _Lazily(Sequence[Batch]):
    """A batch for each picture, made when asked for."""

    def __init__(self, names: list[str], make: Callable[[str], Batch]) -> None:
        self._names, self._make = names, make

    @override
    def __len__(self) -> int:
        return len(self._names)

    @override
    def __getitem__(self, index: Any) -> Any:
        return self._make(self._names[index])
