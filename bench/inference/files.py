"""Pictures in files, at the depth they have: 8 or 16 bits, gray or colour; read by `datasets.reading`, written as PNG."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.folders import ENDINGS, NOT_READ, PICTURES, files_in, once, unread_pictures
from datasets.reading.pixels import GRAY, decode, has_alpha

Levels = NDArray[np.uint8] | NDArray[np.uint16]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = 258  # TIFF's tag BitsPerSample


class Picture(NamedTuple):
    """A picture as its file holds it: H x W x C levels, C = 1 or 3, up to 255 or 65535; notes say what the file holds beyond that."""

    levels: Levels
    notes: tuple[str, ...] = ()

    @property
    def top(self) -> int:
        """The level that means 1."""
        return int(np.iinfo(self.levels.dtype).max)


class Found(NamedTuple):
    """A picture to work on: where it lies, and the name of its output, without its ending, relative to the folder of outputs."""

    path: Path
    name: Path


# -- which files
def find_pictures(inputs: Sequence[Path], outputs: Sequence[Path]) -> tuple[list[Found], list[str]]:
    """The pictures that files and folders mean, and a line for each file that is left out.

    Folders are searched at any depth, as data sets are; what lies below `outputs` is left alone.

    Raises:
        UsageError: an input is not there, there is no picture, or two would have outputs of one name.
    """
    found: list[Found] = []
    notes: list[str] = []
    for given in inputs:
        if given.is_dir():
            pictures, lines = _in_folder(given, outputs)
            found += pictures
            notes += lines
        elif os.path.lexists(given):
            found.append(Found(given, Path(given.stem)))
        else:
            raise UsageError(f"no picture and no folder {given}")
    if not found:
        raise UsageError(f"no pictures in {', '.join(map(str, inputs))}: files that end in {ENDINGS} are read")
    _refuse_twins(found)
    return found, notes


def _in_folder(folder: Path, outputs: Sequence[Path]) -> tuple[list[Found], list[str]]:
    kept, twins = once(files_in(folder, recursive=True))
    made = [folder.resolve() for folder in outputs]
    kept = [path for path in kept if not any(path.resolve().is_relative_to(folder) for folder in made)]
    pictures = [path for path in kept if path.suffix.lower() in PICTURES]
    unread = [f"{path} {NOT_READ}" for path in kept if path.suffix.lower() in unread_pictures()]
    notes = [*(f"{path} {why}" for path, why in twins.items()), *unread]
    return [Found(path, path.relative_to(folder).with_suffix("")) for path in pictures], [one_line(note) for note in notes]


def _refuse_twins(found: Sequence[Found]) -> None:
    first: dict[str, Path] = {}
    for path, name in found:
        other = first.setdefault(str(name).casefold(), path)  # casefold: some disks do not tell a.png from A.png
        if other != path:
            raise UsageError(one_line(f"{other} and {path} would both become {name}.png: rename one, or give them one at a time"))


# -- reading
def read_picture(path: Path) -> Picture:
    """Read a picture file at its own depth, EXIF rotation applied.

    Raises:
        UsageError: it cannot be read; the message names it.
    """
    found = decode(path)
    image = found.image
    notes = ["its alpha is dropped"] if has_alpha(image) else []
    if (gray := found.gray) is not None:
        levels = (gray.astype(np.float64) * 65535).round().astype(np.uint16)[..., None]
        return Picture(levels, tuple(notes))
    if (deep := _deep_png(path)) is not None:
        return Picture(deep[..., : 1 if deep.shape[2] < 3 else 3], ("its alpha is dropped",) if deep.shape[2] in (2, 4) else ())
    if _is_deep(path):
        notes.append("its 16 bits are read as 8: a PNG keeps them")
    return Picture(_eight_bits(image), tuple(notes))


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """H x W x 1 of gray pictures, H x W x 3 of all others."""
    straight = image.convert("RGBA") if "transparency" in image.info else image  # a palette's transparency is dropped like any alpha
    array = np.asarray(straight.convert("L" if image.mode in GRAY else "RGB"))
    return array.reshape(*array.shape[:2], -1)


def _deep_png(path: Path) -> NDArray[np.uint16] | None:
    """H x W x C of a PNG of 16 bits with colour or alpha, which Pillow reads in 8; None of any other file, or where nothing can."""
    if not _is_deep_png(path):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision names a successor, which is no dependency
        try:
            from torchvision.io import ImageReadMode, decode_image

            return np.ascontiguousarray(decode_image(str(path), ImageReadMode.UNCHANGED).numpy().transpose(1, 2, 0))
        except ImportError:
            return None
        except RuntimeError as error:
            raise UsageError(one_line(f"cannot read the image {path}: {error}; replace it")) from error


def _is_deep_png(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(26)
    return head[:8] == _SIGNATURE and head[24] == 16 and head[25] in (2, 4, 6)


def _is_deep(path: Path) -> bool:
    """Whether a file has more than the 8 bits that were read."""
    if _is_deep_png(path):
        return True
    if path.suffix.lower() in (".tif", ".tiff"):
        with Image.open(path) as whole:
            return bool(max(getattr(whole, "tag_v2", {}).get(_SAMPLES, (8,))) > 8)
    if path.suffix.lower() in (".ppm", ".pnm"):
        with path.open("rb") as file:
            words = b" ".join(line for line in file.read(512).split(b"\n") if not line.startswith(b"#")).split()
        return len(words) > 3 and words[0] in (b"P3", b"P6") and words[3].isdigit() and int(words[3]) > 255
    return False


# -- writing
def write_png(path: Path, levels: Levels) -> None:
    """Write H x W x C levels as PNG; the file is there whole or not at all. Raises like `write_bytes`."""
    if levels.dtype == np.uint16 and levels.shape[2] == 3:
        write_bytes(path, _encode_deep(levels))
        return
    file = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(file, format="PNG")
    write_bytes(path, file.getbuffer())


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file, and the folders it lies in; it is there whole or not at all.

    Raises:
        UsageError: the folder cannot be written or the disk is full.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(one_line(f"cannot write {path}: {error.strerror or error}; free some space or give another --to")) from error


def _encode_deep(levels: NDArray[np.generic]) -> bytes:
    """A PNG of 16 bits in colour, which Pillow cannot write: every row as its difference from the one above (filter 2)."""
    height, width, _ = levels.shape
    raw = levels.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.empty((height, 1 + raw.shape[1]), np.uint8)
    rows[:, 0] = 2
    rows[0, 1:] = raw[0]
    np.subtract(raw[1:], raw[:-1], out=rows[1:, 1:])

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return _SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.data, 6)) + chunk(b"IEND", b"")
