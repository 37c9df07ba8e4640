"""What other code made of the pictures of a set: files that belong to them by their names."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.dicom import HU_ENDINGS
from datasets.reading.folders import PICTURES, files_in, once, with_endings
from datasets.reading.names import refuse_second
from datasets.reading.pixels import GRAY, decode

_NAMED = 5  # of the names that are listed


def stem_of(name: str) -> str:
    """The name of a picture, or a path below a folder, without the ending of a picture."""
    path = Path(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in PICTURES | HU_ENDINGS else name


def named_files(folder: Path, match: str = "{}", endings: Collection[str] = frozenset(PICTURES)) -> dict[str, Path]:
    """Name -> file, of the files below a folder; the name is what stands for {} in its path below the folder without its ending.

    Links to files that are in the folder already are left out; files that do not match the pattern have no name.

    Raises:
        UsageError: no such folder, nothing in it is readable or matches, two files have one name, the pattern has not one {}.
    """
    if match.count("{}") != 1:
        raise UsageError(f"match {match!r}: write {{}} once, where the name of the picture stands, such as '{{}}_restored'")
    if not folder.is_dir():
        raise UsageError(one_line(f"{folder} is not a folder, or may not be read"))
    files, _ = once(with_endings(files_in(folder, recursive=True), endings))
    if not files:
        raise UsageError(one_line(f"no files of a known kind in {folder}; known endings are {', '.join(sorted(e[1:] for e in endings))}"))
    before, after = map(re.escape, match.split("{}"))
    found: dict[str, Path] = {}
    for file in files:
        if hit := re.fullmatch(f"{before}(.+){after}", file.relative_to(folder).with_suffix("").as_posix(), re.DOTALL):
            name = unicodedata.normalize("NFC", hit[1])  # other systems write accents apart
            refuse_second(found, name, file)
            found[name] = file
    if not found:
        raise UsageError(one_line(f"none of the {len(files)} files in {folder} is called {match}, such as {files[0].name}"))
    return found


def few_of(names: Collection[str]) -> str:
    """The first of some names, and how many there are besides."""
    shown, more = list(names)[:_NAMED], len(names) - _NAMED
    return one_line(", ".join(shown) + (f" and {more} more" if more > 0 else ""))


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Restored pictures in files, by the names of what they were made of.

    Attributes:
        path: their folder; or the only file, whatever the name.
        match: see `named_files`.
        read: makes of a file, and the name of its picture, what the task compares.
        endings: of the files.
    """

    path: Path
    match: str
    read: Callable[[Path, str], Tensor]
    endings: Collection[str] = frozenset(PICTURES)

    def __call__(self, name: str) -> Tensor:
        """The restored picture of a name, C x H x W. Raises UsageError where it has no file, or one that cannot be read."""
        if self.path.is_file():
            return self.read(self.path, name)
        composed = unicodedata.normalize("NFC", name)
        if (file := self._files.get(composed) or self._files.get(stem_of(composed))) is None:
            tile = "; it is a tile: give --set tile=0 where the files are whole pictures" if "@" in name else ""
            wanted = self.match.format(stem_of(name))
            raise UsageError(one_line(f"{self.path} has no file {wanted} for the picture {name}: it has {few_of(self._files)}{tile}"))
        if (other := self._taken.setdefault(file, name)) != name:
            raise UsageError(one_line(f"{file} would serve two pictures, {other} and {name}: call it {name}{file.suffix}"))
        return self.read(file, name)

    @functools.cached_property
    def _taken(self) -> dict[Path, str]:
        """File -> the picture that it was read for."""
        return {}

    @functools.cached_property
    def _files(self) -> Mapping[str, Path]:
        return named_files(self.path, self.match, self.endings)


def read_picture(path: Path, channels: int) -> Tensor:
    """A picture of 1 or 3 channels, C x H x W in [0, 1]; one that is stored as colour but has none serves as gray.

    Raises:
        UsageError: it cannot be read, or has colour where the truth is gray.
    """
    image, _ = decoded = decode(path)
    if (deep := decoded.gray) is not None:
        x = torch.from_numpy(deep)[None]
    else:
        mode = "L" if image.mode in GRAY else "RGB"
        x = torch.from_numpy(np.array(image.convert(mode), dtype=np.float32) / 255.0)
        x = x[None] if x.dim() == 2 else x.permute(2, 0, 1)
    if channels == 1 and len(x) == 3:
        if not (x[0] == x[1]).all() or not (x[0] == x[2]).all():
            raise UsageError(one_line(f"{path} has colour, the picture that it belongs to has not"))
        x = x[:1]
    return x.expand(channels, -1, -1).contiguous()
