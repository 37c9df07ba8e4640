"""Sets of samples that other code drew: folders and archives of pictures, arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.folders import ENDINGS, PICTURES
from datasets.reading.outputs import few_of, named_files
from datasets.reading.pixels import GRAY

_LARGEST = 8 << 30  # bytes of an array
_T = TypeVar("_T")
_Opened = tuple[Path | IO[bytes], str]  # a picture's file, and how it is called in messages


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
            return 1 if image.mode in GRAY else 3, image.height, image.width
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
    if not values.isfinite().all():
        raise UsageError(f"{path} holds values that are not finite (NaN or infinity): nothing can be said of such samples")
    if len(shape) == 3 and not (values.min() >= 0 and values.max() <= 1):
        raise UsageError(f"{path} has values from {values.min():.3g} to {values.max():.3g}: write 8 bits (uint8) or floats in [0, 1]")
    return values
