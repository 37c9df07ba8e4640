"""Pairs made from photographs: A is computed from the photograph, B is the photograph."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.dataset import Picture, PictureSet, Source, Split
from bench.errors import UsageError
from bench.method import param
from bench.spec import Spec, parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derived(Source):
    """Base of pairs whose A is computed from a photograph B. A subclass defines `derive`."""

    licence: ClassVar[str] = "that of the photographs"
    layout: ClassVar[str] = "that of the photographs: `of` names another source of pictures"

    of: str = param("photos[colour_only=True]", "the photographs")

    def derive(self, x: Tensor) -> Tensor:
        """A from B; both 3 x H x W in [0, 1]."""
        raise NotImplementedError

    @override
    def find(self, root: Path | None) -> Path | None:
        return self._photographs.find(root)

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return self._photographs.count(root, split)

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The photographs of a split with what is derived from them."""
        photographs = self._photographs.open(root, split)

        def load(index: int) -> Picture:
            picture = photographs[index]
            return Picture(name=picture.name, target=picture.target, observed=self.derive(picture.target), group=picture.group)

        return PictureSet(photographs.names, load, photographs.fingerprint, photographs.skipped)

    @property
    def _photographs(self) -> Source:
        spec = parse(self.of)
        source = registry.make("dataset", Spec(spec.name, {"on_corrupt": self.on_corrupt, **spec.options}))
        if not isinstance(source, Source):
            raise UsageError(f"{self.of} is no source of pictures")
        return source
