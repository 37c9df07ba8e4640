"""What sources of aligned pairs share. A pair is a `Picture` whose `blurred` is A and whose `sharp` is B, of one size."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench.errors import UsageError
from datasets._base import Entry, FileSource, Picture, Split, image_files, read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs(FileSource):
    """Base of pairs on disk, in either of the two layouts of pix2pix: one picture with A on its left half and B on its right, or two folders.

    Where there is no folder of validation pictures, the last `held_out` of the training pictures serve.
    """

    held_out: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), not {self.held_out}")

    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """Pictures that hold both, or pairs of files with one name below A and B."""
        if not (folder / "A").is_dir():
            return [Entry(path.stem, (path,)) for path in split_files(folder, split, self.held_out)]
        files = split_files(folder / "A", split, self.held_out)
        return [Entry(path.stem, (path, folder / "B" / path.relative_to(folder / "A"))) for path in files]

    def load(self, entry: Entry) -> Picture:
        """Read one pair.

        Raises:
            UsageError: the two sides differ in size.
        """
        sides = [read_image(file) for file in entry.files]
        if len(sides) == 1:
            sides = list(sides[0].chunk(2, dim=2))
        if sides[0].shape != sides[-1].shape or len(sides) != 2:
            raise UsageError(f"{entry.files[0]}: its two sides differ in size, {[tuple(side.shape[1:]) for side in sides]}; they must be aligned")
        return Picture(name=entry.name, sharp=sides[1], blurred=sides[0])


def split_files(folder: Path, split: Split, held_out: float, suffix: str = "") -> list[Path]:
    """The images of a split, by name: below train, val and test (with a suffix).

    Without val, the last share `held_out` of train serves: one picture at least, unless the share is 0.
    """
    if split == "test":
        return image_files(folder / f"test{suffix}")
    validation, train = image_files(folder / f"val{suffix}"), image_files(folder / f"train{suffix}")
    if not validation:
        cut = len(train) - max(round(held_out * len(train)), held_out > 0)
        train, validation = train[:cut], train[cut:]
    return train if split == "train" else validation
