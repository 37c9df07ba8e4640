"""What a data set is: pictures that are read when asked for, named splits, a fingerprint of the content."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.errors import Unavailable, UsageError
from bench.method import param

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: float32, 3 x H x W, [0, 1], RGB; CT slices 1 x H x W (see `bench.operators.ct`).

    The words are those of `bench.method.Batch`. `target` is the truth, what a method is to return: a sharp, clean or large picture, the
    other domain, a saliency map (1 x H x W). `observed` is what a method sees, of the same height and width: the blurred or noisy picture,
    the label map, the photograph. Where a set brings none, the task degrades `target`. Some bring their `psf` (K x K, sum 1), sets for
    super-resolution `small` (3 x H / scale x W / scale), detection sets `boxes` (n x 4, x0 y0 x1 y1 in pixels) and `labels` (n, int64),
    some `crowds` and `crowd_labels` like them: regions with many objects of a class.
    `group` is what the picture was taken from: a photograph, a patient, a video, the background of a scene. Pictures of one group are not
    independent of each other; empty: the picture itself.
    """

    name: str
    target: Tensor
    observed: Tensor | None = None
    psf: Tensor | None = None
    small: Tensor | None = None
    boxes: Tensor | None = None
    labels: Tensor | None = None
    crowds: Tensor | None = None
    crowd_labels: Tensor | None = None
    group: str = ""


class PictureSet(Sequence[Picture]):
    """The pictures of one split, read lazily, each of a name of its own.

    Args:
        names: of the pictures, in order.
        load: index -> picture, a function of the index alone.
        fingerprint: hash of the content, which enters the trial's id.
        skipped: a line for every file that was left out, with its reason; it stands on the record.
        classes: of detection sets, the names that labels number.

    Raises:
        UsageError: two names are the same; on access, a picture holds NaN or infinity.
    """

    def __init__(
        self,
        names: Sequence[str],
        load: Callable[[int], Picture],
        fingerprint: str,
        skipped: Sequence[str] = (),
        classes: Sequence[str] = (),
    ) -> None:
        self.names, self.fingerprint, self.skipped, self.classes = list(names), fingerprint, list(skipped), list(classes)
        self._load = load
        if len(set(self.names)) < len(self.names):
            raise UsageError(f"a data set has two pictures called {Counter(self.names).most_common(1)[0][0]}: each needs a name of its own")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Picture:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        picture = self._load(index % len(self))
        if not all(bool(image.sum().isfinite()) for image in (picture.target, picture.observed, picture.small) if image is not None):
            raise UsageError(f"the picture {picture.name} holds values that are not finite (NaN or infinity): replace it")
        return picture

    def __iter__(self) -> Iterator[Picture]:
        return (self[i] for i in range(len(self)))


EMPTY = PictureSet([], lambda i: Picture(name="", target=torch.empty(0)), "empty")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set on disk, inside a dependency, or made up. Options are fields; each kind has an `open` for one split.

    `runner.py data` and errors print the class attributes, so they are whole phrases.
    """

    origin: ClassVar[str]  # where to get it
    licence: ClassVar[str] = "see its origin"
    layout: ClassVar[str]  # the files expected below the data root
    parted: ClassVar[str] = ""  # what decides the split of a picture, where it is not the layout, and what to do where one is empty

    def find(self, root: Path | None) -> Path | None:
        """The folder of this set below the data root; None where it needs none, as here: what is computed or lies in an installed package.

        Raises:
            Unavailable: no data root, or nothing in the expected layout below it; the message says how to get it.
        """
        return None

    def count(self, root: Path | None, split: Split) -> int | None:
        """How many items a split has, without reading them where that is possible; None: as many as are asked for.

        Raises:
            Unavailable: the set was not found.
        """
        raise NotImplementedError

    def _below(self, root: Path | None, *folders: str) -> Path:
        """The first of `folders` that exists below the data root."""
        name = type(self).__module__.rpartition(".")[2]
        for folder in folders:
            if root is not None and os.path.isdir(root / folder):
                return root / folder
        where = f"below {root}" if root else "without a data root (give --data-root or GANBENCH_DATA)"
        raise Unavailable(f"data set {name!r} not found {where}: expected {self.layout}; get it from {self.origin}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source(DataSource):
    """A data set of pictures, read when asked for."""

    on_corrupt: Literal["refuse", "skip"] = param(
        "refuse",
        "refuse: stop at a corrupt file, by name; skip: leave it out, which the record says",
    )

    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The pictures of a split; `EMPTY` where the authors publish none.

        Raises:
            Unavailable: the set was not found.
            UsageError: a file is corrupt (named) and `on_corrupt` is "refuse".
        """
        raise NotImplementedError

    def count(self, root: Path | None, split: Split) -> int:
        """How many pictures a split has. See the base class."""
        return len(self.open(root, split))
