"""What tasks share that judge what exists: nothing is trained, `outputs[path=...]` brings what other code made."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.judging.gallery import write_items
from bench.method import Batch, Method, param
from bench.offers import Capability
from bench.task import Scores, Task
from datasets.reading.files import hash_files
from datasets.reading.outputs import few_of, named_files

_SHOWN = 3  # of the worst and of the best pictures


@dataclasses.dataclass(kw_only=True, eq=False)
class JudgedElsewhere(Task):
    """Base of tasks without training. A subclass has the truth, and reads files as what it compares (`bench.offers.OutputsTask`)."""

    verb: ClassVar[str] = "restore"

    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Files of what other code made."""
        return frozenset({"files"})

    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """Nothing. Raises UsageError: nothing can be trained on what is judged."""
        raise UsageError(f"the task {self._name} judges what exists: give outputs[path=...] as the method")

    @override
    def sample(self) -> Any:
        """Nothing: what it cost to make is not known here."""
        return None

    @property
    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def _ask(self, method: Any, name: str) -> Tensor:
        """What other code made of a picture, by its name alone."""
        answer: Tensor = method.restore(Batch(torch.zeros(1, 1, 1, 1, device=self.device), names=(name,)))[0]
        return answer


@dataclasses.dataclass(kw_only=True, eq=False)
class BesideFiles(JudgedElsewhere):
    """Base of tasks whose truth is a folder with a file for each picture. Subclasses read it when it is compared, a picture at a time."""

    output_endings: ClassVar[frozenset[str]]  # of the files on both sides

    truth: str = param("", "folder of the true pictures, or the file of a single one")
    without: tuple[str, ...] = param((), "names of true pictures that are left out")

    # -- what decides a result
    @override
    def fingerprint(self) -> dict[str, str]:
        return {"truth/test": hash_files(list(self._truth.values()))}

    @override
    def notes(self) -> dict[str, str]:
        """Those of every task of the kind, and which true pictures are left out."""
        if not self.without:
            return super().notes()
        count = len(self._truth) + len(self.without)
        told = f"{len(self.without)} of {count} true pictures have no restored one: {few_of(self.without)}"
        return super().notes() | {"skipped_files": told}

    # -- judging
    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """The worst and the best pictures by the first metric, as they were scored last."""
        column = next(iter(self.cards()))
        chosen = dict.fromkeys(self._best_first[:_SHOWN], "best") | dict.fromkeys(self._best_first[: -_SHOWN - 1 : -1], "worst")
        ordered = sorted(chosen.items(), key=lambda pair: pair[1] == "best")
        items = [{"name": f"{which} by {column}: {name}", "kind": "photo", **self._pictures_of(method, name)} for name, which in ordered]
        write_items(folder, items, self._show)

    def _pictures_of(self, method: Method, name: str) -> dict[str, Tensor]:
        """For the gallery: "restored", "target" and, where it is there, "observed"; C x H x W."""
        raise NotImplementedError

    def _show(self, image: Tensor) -> Tensor:
        """A picture of the gallery as it is to be seen, [0, 1]."""
        return image

    def _ranked(self, scores: Scores) -> Scores:
        """The same scores; the gallery follows the order of their first column."""
        column, card = next(iter(self.cards().items()))
        names, values = scores.per_image[column]
        sign = -1 if card.higher_is_better else 1
        self._best_first = [name for _, name in sorted(zip((sign * v for v in values), names, strict=True))]
        return scores

    @functools.cached_property
    def _best_first(self) -> list[str]:
        """The pictures in the order of the first metric; by name until they are scored."""
        return list(self._truth)

    # -- data, read when first needed
    @functools.cached_property
    def _truth(self) -> dict[str, Path]:
        """Name -> file of the true pictures that are judged."""
        if not self.truth:
            raise UsageError(f"the task {self._name} needs the true ones: give truth=FOLDER")
        found = self._files_of(self.truth)
        if unknown := [name for name in self.without if name not in found]:
            raise UsageError(f"without: {self.truth} has no {unknown[0]}; it has {few_of(found)}")
        if not (judged := {name: file for name, file in found.items() if name not in self.without}):
            raise UsageError(f"none of the {len(found)} pictures of {self.truth} is left to judge")
        return judged

    def _beside(self, path: str) -> dict[str, Path]:
        """Name -> file of a further folder that has one for each true picture; a file serves all of them."""
        found = self._files_of(path)
        if Path(path).expanduser().is_file():
            return dict.fromkeys(self._truth, *found.values())
        if missing := [name for name in self._truth if name not in found]:
            raise UsageError(f"{path} lacks {len(missing)} of the {len(self._truth)} pictures of {self.truth}: {few_of(missing)}")
        return {name: found[name] for name in self._truth}

    def _files_of(self, path: str) -> dict[str, Path]:
        place = Path(path).expanduser()
        return {place.stem: place} if place.is_file() else named_files(place, endings=self.output_endings)


class Lazily(Sequence[Batch]):
    """A batch for each picture, made when asked for."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Batch]) -> None:
        self._names, self._make = list(names), make

    @override
    def __len__(self) -> int:
        return len(self._names)

    @override
    def __getitem__(self, index: Any) -> Any:
        return self._make(self._names[index])
