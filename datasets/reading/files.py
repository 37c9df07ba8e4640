"""What every data source shares: pictures that are read when asked for, named splits, a fingerprint of the content."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from bench.dataset import EMPTY, Picture, PictureSet, Source, Split
from bench.errors import Unavailable, UsageError
from bench.text import one_line
from datasets.reading.names import Entry, distinct
from datasets.reading.pixels import read_image

_SMALL = 256 << 20  # bytes: up to here every file of a set is hashed whole and decoded once when the set is opened


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSource(Source):
    """A source of files on disk. A subclass lists its entries and turns one into a picture;
    reading lazily, checking and hashing are done here.
    """

    folders: ClassVar[tuple[str, ...]]  # where it may lie below the data root, best first

    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The pictures of a split, in a fixed order: names and files only, nothing is read.
        Names that two have get the endings of their files.
        """
        raise NotImplementedError

    def read(self, path: Path) -> Tensor:
        """Read one file. Raises UsageError, naming the file, where it is damaged."""
        return read_image(path)

    def load(self, entry: Entry) -> Picture:
        """Read one picture."""
        return Picture(name=entry.name, target=self.read(entry.files[0]))

    @override
    def find(self, root: Path | None) -> Path:
        return self._below(root, *self.folders)

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The pictures of a split. Files are checked here, except in sets beyond 256 MiB, whose files are checked when they are read."""
        return self._opened(self.entries(self.find(root), split))

    @override
    def count(self, root: Path | None, split: Split) -> int:
        return sum(not entry.left_out for entry in self.entries(self.find(root), split))

    def _opened(
        self,
        entries: Sequence[Entry],
        load: Callable[[Entry], Picture] | None = None,
        notes: Sequence[Path] = (),
        classes: Sequence[str] = (),
    ) -> PictureSet:
        """A set over `entries`, read by `load` (default: `self.load`);
        `notes` are further files that decide the content, such as annotations.
        """
        if not entries:
            return EMPTY
        skipped = [one_line(f"{entry.files[0]} {entry.left_out}") for entry in entries if entry.left_out]
        entries = distinct([entry for entry in entries if not entry.left_out])
        images = list(dict.fromkeys(file for entry in entries for file in entry.files))
        whole = self.on_corrupt == "skip" or _size_of(images) <= _SMALL
        suspects = images if whole else [file for file in images if not os.path.isfile(file)]
        good, corrupt = readable(suspects, self.on_corrupt, self.read)
        lost = set(suspects) - set(good)
        entries = [entry for entry in entries if lost.isdisjoint(entry.files)]
        files = [file for entry in entries for file in entry.files]
        load = load or self.load

        def loaded(index: int) -> Picture:
            return dataclasses.replace(load(entries[index]), group=entries[index].group)

        fingerprint = hash_files([*files, *notes]) if entries else EMPTY.fingerprint
        return PictureSet([entry.name for entry in entries], loaded, fingerprint, [*skipped, *corrupt], classes)


def split_of(name: str) -> Split:
    """The split of a file of which only the name is known, by a hash of it: 80 % train, 10 % validation, 10 % test."""
    tenth = int(hashlib.sha256(_bytes(name)).hexdigest(), 16) % 10
    return "train" if tenth < 8 else "validation" if tenth == 8 else "test"


def bundled(file: str) -> Path:
    """A file inside an installed package, `package/path`: located, the package is not imported.

    Raises:
        Unavailable: the package or the file is missing.
    """
    package, _, inside = file.partition("/")
    spec = find_spec(package)
    path = Path(spec.origin).parent / inside if spec and spec.origin else Path(inside)
    if not path.is_file():
        raise Unavailable(f"the bundled file {file} is missing: reinstall {package}")
    return path


def hash_files(paths: Sequence[Path]) -> str:
    """A fingerprint of names and contents, in order: sixteen hex digits.
    Beyond 256 MiB in all: names, sizes and the first 64 KiB of each file.

    Raises:
        UsageError: a file is missing or cannot be read (named).
    """
    head = None if _size_of(paths) <= _SMALL else 1 << 16
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(_bytes(f"{path.name}\0{path.stat().st_size}\0") + hashlib.sha256(file.read(head)).digest())
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}; replace it") from error
    return digest.hexdigest()[:16]


def readable(
    paths: Sequence[Path], on_corrupt: Literal["refuse", "skip"], read: Callable[[Path], Tensor] = read_image
) -> tuple[list[Path], list[str]]:
    """Decode every file once, by `read`: the good ones, and one line for each that was skipped.

    Raises:
        UsageError: a file is corrupt and `on_corrupt` is "refuse".
    """
    good: list[Path] = []
    skipped: list[str] = []
    for path in paths:
        try:
            read(path)
        except UsageError as error:
            if on_corrupt == "refuse":
                raise
            skipped.append(str(error).rpartition("; ")[0])
        else:
            good.append(path)
    return good, skipped


def _bytes(name: str) -> bytes:
    """Of a name on disk, which need not be UTF-8."""
    return name.encode("utf-8", "surrogatepass")


def _size_of(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if os.path.isfile(path))
