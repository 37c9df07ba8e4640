"""What a task is: data streams, default backbones and the judge. `Task` is the base of the files in bench/tasks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from bench.cards import Card
from bench.offers import Capability

if TYPE_CHECKING:
    from bench.method import Method


@dataclasses.dataclass(frozen=True)
class Scores:
    """What a judge says: one value a column, the per-image values behind it where there are any, and side remarks for the record.

    `groups` says of images what they were taken from (see `bench.dataset.Picture`); an image that is missing there is its own group.

    Raises:
        ValueError: a column has two values for images of one name, by which other trials are compared.
    """

    values: dict[str, float]
    per_image: dict[str, tuple[list[str], list[float]]] = dataclasses.field(default_factory=dict)  # column -> (image names, values)
    summary: dict[str, float] = dataclasses.field(default_factory=dict)
    groups: dict[str, str] = dataclasses.field(default_factory=dict)  # image -> group

    def __post_init__(self) -> None:
        for column, (names, _) in self.per_image.items():
            if len(set(names)) < len(names):
                raise ValueError(f"two values of {column} for images called {Counter(names).most_common(1)[0][0]}: each needs a name of its own")

    def joined(self, other: Scores) -> Scores:
        """Both together."""
        return Scores(self.values | other.values, self.per_image | other.per_image, self.summary | other.summary, self.groups | other.groups)

    def rows(self) -> list[tuple[str, str, float, str]]:
        """The per-image values as (column, image, value, group)."""
        pairs = ((column, *pair) for column, (names, values) in self.per_image.items() for pair in zip(names, values, strict=True))
        return [(column, name, value, self.groups.get(name) or name) for column, name, value in pairs]


@dataclasses.dataclass(kw_only=True, eq=False)
class Task:
    """Base of every task. Options are dataclass fields; `open` attaches the data."""

    verb: ClassVar[str]  # what a method must be able to do: "restore", "sample", ...
    root: Path | None = dataclasses.field(default=None, init=False, repr=False)
    device: torch.device = dataclasses.field(default=torch.device("cpu"), init=False, repr=False)

    def open(self, root: Path | None, device: torch.device) -> None:
        """Attach the data root and the device; data themselves are read when first needed.

        Raises:
            Unavailable: the data set was not found; the message says how to get it.
        """
        self.root, self.device = root, device

    @property
    def offers(self) -> frozenset[Capability]:
        """What methods may ask for in `needs`."""
        raise NotImplementedError

    def fingerprint(self) -> dict[str, str]:
        """Name -> content hash of every data set that decides a result."""
        raise NotImplementedError

    def parts(self) -> list[tuple[str, str]]:
        """(kind, spec) of every part that decides a result, so that its code enters the trial's id."""
        return []

    def options(self) -> dict[str, Any]:
        """The options as resolved."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}

    def cards(self) -> dict[str, Card]:
        """Column -> card; only metrics that can be computed here."""
        raise NotImplementedError

    def ranked_by(self) -> Card:
        """The card of what `validate` returns first."""
        return next(iter(self.cards().values()))

    def remarks(self) -> dict[str, str]:
        """What a reader of the record must know: metrics that cannot be computed here and why, files left out."""
        return {}

    def batch(self, n: int, rng: torch.Generator) -> Any:
        """A training batch on the device: a function of `rng` alone."""
        raise NotImplementedError

    def validate(self, method: Method) -> dict[str, float]:
        """Cheap scores on the validation split, the ranking column first."""
        raise NotImplementedError

    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Scores on the test split. `progress(done, total)` is called after every batch."""
        raise NotImplementedError

    def sample(self) -> Any:
        """What the cost metrics let a trained method do once: a batch to restore, or how many images to sample; None: its use is not compared."""
        raise NotImplementedError

    def gallery(self, method: Method, folder: Path) -> None:
        """Write a few results as pictures into an empty folder (see bench/store/record.py)."""
