"""Pictures of a set that is too large for the memory: each is decoded once, and crops are read from a temporary file of raw pixels."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from bench.dataset import Picture, PictureSet

MOST = 16 << 30  # bytes of the file at most, and no more than half of what is free on its disk


class _Kept(NamedTuple):
    """Where an image lies in the file: height x width x channels, 8 bits where these hold it exactly, else float32."""

    offset: int
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]


class Source(Protocol):
    """A picture to cut from."""

    name: str

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""

    def cut(self, top: int, left: int, size: int) -> tuple[Tensor, Tensor | None]:
        """A window, target and observed, C x size x size."""


class InMemory:
    """A picture that is decoded."""

    def __init__(self, picture: Picture) -> None:
        self.name, self.picture = picture.name, picture

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.picture.target.shape[-2:]
        return height, width

    def cut(self, top: int, left: int, size: int) -> tuple[Tensor, Tensor | None]:
        """A window, target and observed, C x size x size."""
        window = (..., slice(top, top + size), slice(left, left + size))
        observed = self.picture.observed
        return self.picture.target[window], None if observed is None else observed[window]


class OnDisk:
    """A picture in the file of raw pixels."""

    def __init__(self, name: str, file: int, target: _Kept, observed: _Kept | None) -> None:
        self.name, self._file, self._target, self._observed = name, file, target, observed

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self._target.shape[:2]

    def cut(self, top: int, left: int, size: int) -> tuple[Tensor, Tensor | None]:
        """A window, target and observed, C x size x size."""
        return self._read(self._target, top, left, size), None if self._observed is None else self._read(self._observed, top, left, size)

    def _read(self, kept: _Kept, top: int, left: int, size: int) -> Tensor:
        _, width, channels = kept.shape
        row = width * channels * kept.dtype.itemsize
        data = os.pread(self._file, size * row, kept.offset + top * row)
        rows = np.frombuffer(data, kept.dtype).reshape(size, width, channels)
        window = torch.from_numpy(rows[:, left : left + size].copy()).permute(2, 0, 1)
        return window.float() / 255 if window.dtype == torch.uint8 else window.contiguous()


class Decoded:
    """The pictures of a set, each decoded once. Threads may ask at once. Where the disk has no more room pictures are decoded each time."""

    def __init__(self, pictures: PictureSet, most: int = MOST) -> None:
        self.pictures = pictures
        self._file, path = tempfile.mkstemp(prefix="ganbench-")
        os.unlink(path)  # the system deletes it when nobody has it open
        weakref.finalize(self, os.close, self._file)
        self._room = min(most, shutil.disk_usage(tempfile.gettempdir()).free // 2)
        self._end = 0
        self._kept: dict[int, OnDisk] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Source:
        if index in self._kept:
            return self._kept[index]
        picture = self.pictures[index]
        if self._room:
            self._try_to_keep(index, picture)
        return InMemory(picture)

    def _try_to_keep(self, index: int, picture: Picture) -> None:
        """Put it into the file, if there is room and no other thread has done so."""
        target, observed = _stored(picture.target), None if picture.observed is None else _stored(picture.observed)
        size = target.nbytes + (0 if observed is None else observed.nbytes)
        with self._lock:
            if index in self._kept or self._end + size > self._room:
                return
            try:
                kept = self._keep(target), None if observed is None else self._keep(observed)
            except OSError:  # the disk is full after all
                self._room = 0
            else:
                self._kept[index] = OnDisk(picture.name, self._file, *kept)

    def _keep(self, image: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> _Kept:
        height, width, channels = image.shape
        place = _Kept(self._end, (height, width, channels), image.dtype)
        data = memoryview(np.ascontiguousarray(image)).cast("B")
        while data:
            written = os.pwrite(self._file, data, self._end)
            data, self._end = data[written:], self._end + written
        return place


def _stored(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """C x H x W in [0, 1] as H x W x C, in 8 bits where that loses nothing."""
    levels = (image * 255).round().to(torch.uint8)
    exact = torch.equal(levels.float() / 255, image)
    stored: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = (levels if exact else image).permute(1, 2, 0).numpy()
    return stored
