"""Reading image files: of any depth, or refused in one line that names the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line

_ORIENTATION = 0x0112  # EXIF's tag
GRAY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Modes of Pillow without colour."""

_BITS = 258  # TIFF's tag BitsPerSample


class Header(NamedTuple):
    """What is known of an image without decoding it: width and height as it is meant to be seen, whether it has no colour, alpha,
    and gray of more than 8 bits.
    """

    size: tuple[int, int]
    gray: bool
    alpha: bool
    deep: bool


class Decoded(NamedTuple):
    """An image as it is meant to be seen, EXIF rotation applied; a gray one of more than 8 bits has samples of mode I or I;16,
    up to `top`.
    """

    image: Image.Image
    top: int

    @property
    def gray(self) -> NDArray[np.float32] | None:
        """H x W in [0, 1], of more than 8 bits; None where there are no more."""
        return np.asarray(self.image).astype(np.float32) / np.float32(self.top) if self.top > 255 else None


def read_image(path: Path) -> Tensor:
    """Read an image file as float32, 3 x H x W, [0, 1], RGB: EXIF rotation applied, alpha dropped, gray repeated, deep gray scaled.

    Deep colour (PNG, TIFF, PPM of 16 bits) is read in 8 bits, as Pillow does.

    Raises:
        UsageError: the file is missing, truncated or no image, or holds samples other than 1 to 16 bits; the message names it.
    """
    image, _ = found = decode(path, "; replace it, or leave such files out with on_corrupt=skip")
    array = found.gray
    if array is None:
        straight = image.convert("RGBA") if "transparency" in image.info else image  # a palette's transparency is dropped like any alpha
        return torch.from_numpy(np.ascontiguousarray((np.asarray(straight.convert("RGB"), dtype=np.float32) / 255.0).transpose(2, 0, 1)))
    return torch.from_numpy(array).expand(3, -1, -1).contiguous()


def decode(path: Path, advice: str = "; replace it") -> Decoded:
    """Read an image file whole.

    Raises:
        UsageError: it cannot be read; the message names it and ends with the advice.
    """
    try:
        check_file(path)
        with Image.open(path) as image:
            image.load()
            top = _top(image)
            return Decoded(ImageOps.exif_transpose(image), top)
    except Exception as error:  # damaged files make the decoders raise nearly anything
        reason = "not an image in a known format" if isinstance(error, UnidentifiedImageError) else error
        raise UsageError(one_line(f"cannot read the image {path}: {reason}{advice}")) from error


def header_of(path: Path) -> Header:
    """What the header of an image file says; nothing is decoded.

    Raises:
        UsageError: it cannot be read; the message names it.
    """
    try:
        check_file(path)
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            size = (image.height, image.width) if turned else image.size
            return Header(size, image.mode in GRAY, has_alpha(image), image.mode.startswith("I"))
    except Exception as error:  # damaged files make the decoders raise nearly anything
        raise UsageError(one_line(f"cannot read the image {path}: {error}; replace it")) from error


def has_alpha(image: Image.Image) -> bool:
    """Whether an image has transparency, in a band or in its palette."""
    return bool({"A", "a"} & {*image.getbands()}) or "transparency" in image.info


def check_file(path: Path) -> None:
    """Raise OSError or ValueError, with the reason, where there is no file to read: a pipe would be waited for without end."""
    if not os.path.isfile(path):
        if path.is_symlink() and not os.path.exists(path):
            raise ValueError(f"it is a link to {os.readlink(path)}, which is not there")
        path.stat()  # says what is wrong with any other path that leads nowhere
        raise ValueError("it is a folder" if os.path.isdir(path) else "it is a pipe, a socket or a device")


def _top(image: Image.Image) -> int:
    """The largest value that a sample can have."""
    if image.mode == "I" and image.format == "PPM":  # Pillow scales PGM of 9 to 16 bits to 16
        return 65535
    if image.mode in ("I", "F"):
        raise ValueError(f"its samples are of mode {image.mode}, not 8 or 16 bits")
    if image.mode.startswith("I;16"):
        return 4095 if getattr(image, "tag_v2", {}).get(_BITS) == (12,) else 65535
    return 255
