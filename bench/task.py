"""What a task is: data streams, default backbones and the judge. `Task` is the base of the files in bench/tasks.

Batch i is a function of (seed, i) alone, so a resumed run sees what an undisturbed one sees.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

import numpy as np
import torch

from bench.cards import Card
from bench.offers import Capability

if TYPE_CHECKING:
    from bench.method import Method

_P = ParamSpec("_P")
_R = TypeVar("_R")

_BLOCK = 64  # batches whose seeds are made at once: between two updates, with cold caches, one costs ten times as much


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of a trained method: one value a column, the values of single images behind it where there are any, and a summary.

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
                raise ValueError(
                    f"two values of {column} for images called {Counter(names).most_common(1)[0][0]}: each needs a name of its own",
                )

    def joined(self, other: Scores) -> Scores:
        """Both together."""
        return Scores(
            self.values | other.values,
            self.per_image | other.per_image,
            self.summary | other.summary,
            self.groups | other.groups,
        )

    def rows(self) -> list[tuple[str, str, float, str]]:
        """The per-image values as (column, image, value, group)."""
        pairs = ((column, *pair) for column, (names, values) in self.per_image.items() for pair in zip(names, values, strict=True))
        return [(column, name, value, self.groups.get(name) or name) for column, name, value in pairs]


def on_cpu(read: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate what reads or draws data: it finds the CPU as torch's default device, also while methods are built on another one."""

    @functools.wraps(read)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if torch.get_default_device().type == "cpu":
            return read(*args, **kwargs)
        with torch.device("cpu"):
            return read(*args, **kwargs)

    return inside


@dataclasses.dataclass(kw_only=True, eq=False)
class Task:
    """Base of every task: data streams, default networks, and the evaluation of a method.

    Options are dataclass fields; a task is made from its spec, then `open` attaches the data root and the device. What methods may read of
    a task is in `bench.offers`. Methods are evaluated in `bench.evaluation.evaluation_mode`.
    """

    verb: ClassVar[str]  # what a method must be able to do: "restore", "sample", ...
    judging_options: ClassVar[frozenset[str]] = frozenset()  # those that decide scores of given weights, and no weights
    root: Path | None = dataclasses.field(default=None, init=False, repr=False)
    device: torch.device = dataclasses.field(default=torch.device("cpu"), init=False, repr=False)

    def __init_subclass__(cls, **options: Any) -> None:
        """See to it that batches can be drawn while a method is being built (see `on_cpu`)."""
        super().__init_subclass__(**options)
        if "batch" in vars(cls):
            cls.batch = on_cpu(cls.batch)  # type: ignore[method-assign]

    def open(self, root: Path | None, device: torch.device) -> None:
        """Attach the data root and the device. Data are read when first needed, and whatever reads them may raise as follows.

        Raises:
            Unavailable: the data set was not found; the message says how to get it.
            UsageError: a split is empty, or a file is corrupt; the message names it.
        """
        self.root, self.device = root, device

    @classmethod
    def training_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options under which methods train: without `judging_options`, but for those that choose the best weights."""
        return {k: v for k, v in options.items() if k not in cls.judging_options}

    @property
    def offers(self) -> frozenset[Capability]:
        """The abilities that methods may ask for in `needs` (see `bench.offers.Capability`); may depend on the data."""
        raise NotImplementedError

    def fingerprint(self) -> dict[str, str]:
        """Name ("photos/test") -> content hash of every split that decides a result; empty where there are no data."""
        raise NotImplementedError

    def components(self) -> list[tuple[str, str]]:
        """(kind, spec) of every part that decides a result (data set, degradation, metric, ...): its code enters the trial's id.

        The first metric, with what it looks through, chooses the best weights.
        """
        return []

    def options(self) -> dict[str, Any]:
        """Name -> value of every option, as resolved."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}

    def cards(self) -> dict[str, Card]:
        """Column -> card of every metric that can be computed here, the ranking column first; `notes` names the others."""
        raise NotImplementedError

    def ranked_by(self) -> Card:
        """The card of what `validate` returns first."""
        return next(iter(self.cards().values()))

    def notes(self) -> dict[str, str]:
        """Tags for the record, which stand under the table; more of them once all splits were used.

        "unavailable.fid" -> why a metric cannot be computed; "skipped_files" -> what was left out and why.
        """
        return {}

    @property
    def reads_files(self) -> bool:
        """Whether batches are read from files, so that it pays to make them ahead of need; several threads then call `batch` at once."""
        return False

    def batch(self, n: int, rng: torch.Generator) -> Any:
        """A training batch on the device: a `Batch`, `Samples`, or what the task's loss takes. A function of `rng` alone.

        Args:
            n: pictures, samples or examples; tasks that have one loss for all updates may ignore it.
            rng: a generator on the CPU, seeded by the trial's seed and the number of the batch.
        """
        raise NotImplementedError

    def validate(self, method: Method) -> dict[str, float]:
        """Column -> score on the validation split, the ranking column first; cheap enough to be called many times in training."""
        raise NotImplementedError

    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """All scores on the test split.

        Args:
            method: a trained method, in evaluation mode.
            progress: called as progress(done, total) after every batch, in pictures or samples.

        Raises:
            ValueError: what the method returned has the wrong shape.
        """
        raise NotImplementedError

    def sample(self) -> Any:
        """What the cost metrics time: a `Batch` to restore, a number of samples to draw, or None where use has no cost to compare."""
        raise NotImplementedError

    def portray_training(self, method: Method, folder: Path) -> None:
        """Write pictures of how a method was trained, once, when it has been; none by default."""

    def gallery(self, method: Method, folder: Path) -> None:
        """Write a few results as PNG files, with a JSON file each, into an empty folder (see `bench.store.record.TrialRecord.gallery`)."""


class Stream(Iterator[Any]):
    """Counter-based batches of a task; `drawn` is the whole state."""

    def __init__(self, task: Task, seed: int, batch_size: int, drawn: int = 0) -> None:
        self.task, self.seed, self.batch_size, self.drawn = task, seed, batch_size, drawn

    def __next__(self) -> Any:
        batch = self.make(self.drawn)
        self.drawn += 1
        return batch

    def make(self, number: int) -> Any:
        """The batch of that number."""
        block, place = divmod(number, _BLOCK)
        rng = torch.Generator().manual_seed(_seeds(self.seed, block)[place])
        return self.task.batch(self.batch_size, rng)

    def close(self) -> None:
        """Nothing more is asked for; nothing to do where batches are made when asked for."""


@functools.lru_cache(maxsize=1024)  # 64 numbers each: streams side by side must not push one another out
def _seeds(seed: int, block: int) -> list[int]:
    """Those of the batches of a block."""
    return [mix(seed, i) for i in range(block * _BLOCK, (block + 1) * _BLOCK)]


def mix(*numbers: int) -> int:
    """One well-mixed 63-bit seed from several small numbers (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
