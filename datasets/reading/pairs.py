"""What sources of aligned pairs share. A pair is a `Picture` whose `observed` is A and whose `target` is B, of one size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from bench.dataset import Picture, Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.files import FileSource
from datasets.reading.folders import NOT_READ, PICTURES, files_in, unread_pictures, with_endings
from datasets.reading.names import Entry
from datasets.reading.pixels import read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs(FileSource):
    """Base of pairs on disk, in either of the two layouts of pix2pix: one picture with A on its left half and B on its right, or two
    folders.

    Where there is no folder of validation pictures, the last `held_out` of the training pictures serve.
    """

    held_out: float = param(0.1, "share of the training pairs that validates where there is no folder val")

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), not {self.held_out}")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """Pictures that hold both, or pairs of files with one name below A and B."""
        listed = _pairs_below if (folder / "A").is_dir() else images_below
        return of_split(functools.partial(listed, folder), split, self.held_out)

    @override
    def load(self, entry: Entry) -> Picture:
        """Read one pair.

        Raises:
            UsageError: the two sides differ in size.
        """
        sides = [read_image(file) for file in entry.files]
        if len(sides) == 1:
            sides = list(sides[0].chunk(2, dim=2))
        if sides[0].shape != sides[-1].shape or len(sides) != 2:
            raise UsageError(
                f"{entry.files[0]}: its two sides differ in size, {[tuple(side.shape[1:]) for side in sides]}; they must be aligned",
            )
        return Picture(name=entry.name, target=sides[1], observed=sides[0])


def of_split(listed: Callable[[str], list[Entry]], split: Split, held_out: float) -> list[Entry]:
    """The pictures of a split, where `listed` says what the folders "train", "val" and "test" have.

    Without val, the last share `held_out` of train serves: one picture at least, unless the share is 0.
    """
    if split == "test":
        return listed("test")
    validation, train = listed("val"), listed("train")
    if all(entry.left_out for entry in validation):
        chosen, rest = [[entry for entry in train if bool(entry.left_out) == out] for out in (False, True)]
        cut = len(chosen) - max(round(held_out * len(chosen)), held_out > 0)
        train, validation = [*chosen[:cut], *rest], [*chosen[cut:], *validation]
    return train if split == "train" else validation


def images_below(folder: Path, part: str) -> list[Entry]:
    """The images of a part at any depth, named by their paths there without the ending; then pictures of kinds that are not read."""
    place = folder / part
    found = files_in(place, recursive=True)
    images, others = with_endings(found, PICTURES), with_endings(found, unread_pictures())
    why = dict.fromkeys(others, NOT_READ)
    return [Entry(path.relative_to(place).with_suffix("").as_posix(), (path,), left_out=why.get(path, "")) for path in [*images, *others]]


def _pairs_below(folder: Path, part: str) -> list[Entry]:
    """The images of a part below A, each with the one of the same name below B; then those of B that no image of A has the name of."""
    a, b = (images_below(folder / side, part) for side in "AB")
    pairs = [entry._replace(files=(path, folder / "B" / path.relative_to(folder / "A"))) for entry in a for path in entry.files]
    partners = {file for entry in pairs for file in entry.files}
    alone = [entry for entry in b if partners.isdisjoint(entry.files)]
    return pairs + [entry._replace(left_out=entry.left_out or f"is left out: nothing below {folder / 'A'} has its name") for entry in alone]
