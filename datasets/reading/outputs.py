"""What other code made: files that belong to the pictures of a set by their names, and sets of samples."""

from __future__ import annotations

import dataclasses
import functools
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.folders import ENDINGS, PICTURES, files_in, once, with_endings
from datasets.reading.names import refuse_second
from datasets.reading.pixels import decode

_NAMED = 5  # of the names that are listed
_LARGEST = 8 << 30  # bytes of an array

_T = TypeVar("_T")
_Opened = tuple[Path | IO[bytes], str]  # a picture's file, and how it is called in messages


def stem_of(name: str) -> str:
    """The name of a picture, or a path below a folder, without the ending of a picture."""
    path = Path(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in PICTURES | {".npy", ".dcm", ".ima"} else name


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
            refuse_second(found, hit[1], file)
            found[hit[1]] = file
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
        if (file := self._files.get(name) or self._files.get(stem_of(name))) is None:
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
        mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
        x = torch.from_numpy(np.array(image.convert(mode), dtype=np.float32) / 255.0)
        x = x[None] if x.dim() == 2 else x.permute(2, 0, 1)
    if channels == 1 and len(x) == 3:
        if not (x[0] == x[1]).all() or not (x[0] == x[2]).all():
            raise UsageError(one_line(f"{path} has colour, the picture that it belongs to has not"))
        x = x[:1]
    return x.expand(channels, -1, -1).contiguous()


def is_gray(path: Path) -> bool:
    """Whether a picture is stored without colour. Raises UsageError where it cannot be read."""
    return decode(path).image.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")


# -- sets of samples
def read_samples(path: Path, shape: tuple[int, ...], most: int) -> Tensor:
    """Samples from a folder of pictures, a zip archive of pictures, or a .npy or .npz array.

    Args:
        path: of the folder or file.
        shape: of one sample: (d,) or (C, H, W).
        most: samples at most, evenly spread over what is there in the order of names.

    Returns:
        n x shape, float32; pictures in [0, 1].

    Raises:
        UsageError: no such file, one that cannot be read (nothing in it is run), samples of another shape or range.
    """
    if path.suffix.lower() in (".npy", ".npz"):
        return _of_array(_load_array(path), path, shape, most)
    if len(shape) != 3:
        raise UsageError(f"{path}: points are read from .npy and .npz arrays")
    opened = _zipped(path, most) if path.suffix.lower() == ".zip" else _in_folder(path, most)
    rows = [_square(source, where, shape) for source, where in opened]
    return torch.from_numpy(np.stack(rows)).float() / 255


def sample_shape(path: Path) -> tuple[int, int, int]:
    """C x H x W of the first sample of a set of pictures. Raises like `read_samples`."""
    if path.suffix.lower() in (".npy", ".npz"):
        found = _load_array(path).shape
        if len(found) != 4:
            raise UsageError(f"{path} is {' x '.join(map(str, found))}: pictures are n x C x H x W or n x H x W x C")
        return (found[1], *found[2:]) if found[1] in (1, 3) else (found[3], *found[1:3])
    opened = _zipped(path, 1) if path.suffix.lower() == ".zip" else _in_folder(path, 1)
    source, where = next(opened)
    try:
        with Image.open(source) as image:
            return 1 if image.mode in ("1", "L", "LA") else 3, image.height, image.width
    except Exception as error:  # damaged files make the decoders raise nearly anything
        raise UsageError(one_line(f"cannot read the image {where}: {error}; replace it")) from error


def count_samples(path: Path) -> int:
    """How many samples `read_samples` finds. Raises like it."""
    if path.suffix.lower() in (".npy", ".npz"):
        return len(_load_array(path))
    if path.suffix.lower() == ".zip":
        return sum(1 for _ in _zipped(path, 1 << 40))
    return len(named_files(path))


def _in_folder(folder: Path, most: int) -> Iterator[_Opened]:
    for file in _spread(sorted(named_files(folder).values()), most):
        yield file, str(file)


def _spread(items: Sequence[_T], most: int) -> list[_T]:
    """At most so many of them, evenly spread."""
    n = min(len(items), most)
    return [items[i * len(items) // n] for i in range(n)]


def _zipped(path: Path, most: int) -> Iterator[_Opened]:
    """The pictures of an archive, opened one after the other without unpacking it to the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in sorted(archive.namelist()) if Path(n).suffix.lower() in PICTURES and not Path(n).name.startswith(".")]
            if not names:
                raise UsageError(f"no pictures in {path}; known endings are {ENDINGS}")
            for name in _spread(names, most):
                if archive.getinfo(name).file_size > 64 << 20:
                    raise UsageError(one_line(f"{path}: its member {name} unfolds to more than a small picture: refused"))
                with archive.open(name) as file:
                    yield file, f"{path}: {name}"
    except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError) as error:
        raise UsageError(one_line(f"cannot read {path}: {error}; make the archive anew")) from error


def _square(source: Path | IO[bytes], where: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A small picture, C x H x W."""
    channels, *sides = shape
    try:
        with Image.open(source) as image:
            if [image.height, image.width] != sides:
                found, wanted = f"{image.width} x {image.height}", f"{sides[1]} x {sides[0]}"
                raise UsageError(one_line(f"{where} is {found} pixels, the real ones are {wanted}: resize one side"))
            x = np.asarray(image.convert("RGB" if channels == 3 else "L"), dtype=np.uint8)
    except UsageError:
        raise
    except Exception as error:  # damaged files make the decoders raise nearly anything
        raise UsageError(one_line(f"cannot read the image {where}: {error}; replace it")) from error
    return x.reshape(*sides, -1).transpose(2, 0, 1)


def _load_array(path: Path) -> NDArray[np.generic]:
    """The array of a .npy file, or the only one (or that called arr_0) of a .npz file; nothing in it is run."""
    try:
        if path.suffix.lower() == ".npy":
            array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with zipfile.ZipFile(path) as archive:
                if (size := sum(member.file_size for member in archive.infolist())) > _LARGEST:
                    raise UsageError(f"{path} unfolds to {size:,} bytes: refused; split it, or give a .npy file")
            with np.load(path, allow_pickle=False) as arrays:
                names = arrays.files
                if len(names) != 1 and "arr_0" not in names:
                    raise UsageError(one_line(f"{path} holds {len(names)} arrays ({few_of(names)}): give one, or call the samples arr_0"))
                array = arrays["arr_0" if "arr_0" in names else names[0]]
    except UsageError:
        raise
    except Exception as error:  # damaged files make the reader raise nearly anything
        raise UsageError(one_line(f"cannot read the array {path}: {error}; nothing in it was run")) from error
    return array


def _of_array(array: NDArray[np.generic], path: Path, shape: tuple[int, ...], most: int) -> Tensor:
    """Samples of an array, channels first or last, of 8 bits or floats in [0, 1]."""
    last = (*shape[1:], shape[0])
    if array.ndim != len(shape) + 1 or array.shape[1:] not in (shape, last) or array.dtype.kind not in "uif":
        told = " or ".join(f"n x {' x '.join(map(str, s))}" for s in dict.fromkeys((shape, last)))
        raise UsageError(f"{path} is {' x '.join(map(str, array.shape))} of {array.dtype}, the real samples are {told}")
    x = np.asarray(array[_spread(range(len(array)), most)])
    if len(shape) == 3 and x.shape[1:] != shape:
        x = x.transpose(0, 3, 1, 2)
    if array.dtype == np.uint8 and len(shape) == 3:
        return torch.from_numpy(x.astype(np.float32) / np.float32(255))
    values = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    if len(shape) == 3 and values.isfinite().all() and not (values.min() >= 0 and values.max() <= 1):
        raise UsageError(f"{path} has values from {values.min():.3g} to {values.max():.3g}: write 8 bits (uint8) or floats in [0, 1]")
    return values
