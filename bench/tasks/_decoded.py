"""Pictures of a set that is too large for the memory: each is decoded once, and crops are read from a temporary file of raw pixels."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from typing import NamedTuple

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


class Decoded:
    """The pictures of a set, as crops. Threads may ask at once. Where the disk has no more room pictures are decoded each time."""

    def __init__(self, pictures: PictureSet, most: int = MOST) -> None:
        self.pictures = pictures
        self._file, path = tempfile.mkstemp(prefix="ganbench-")
        os.unlink(path)  # the system deletes it when nobody has it open
        weakref.finalize(self, os.close, self._file)
        self._room = min(most, shutil.disk_usage(tempfile.gettempdir()).free // 2)
        self._end = 0
        self._kept: dict[int, tuple[_Kept, _Kept | None]] = {}
        self._lock = threading.Lock()

    def read(self, index: int) -> Picture | None:
        """The picture where it is decoded now, for the first time or because it is not kept; None where it is kept."""
        if index in self._kept:
            return None
        picture = self.pictures[index]
        if not self._room:
            return picture
        target, observed = _stored(picture.target), None if picture.observed is None else _stored(picture.observed)
        with self._lock:
            if index not in self._kept and self._end + target.nbytes + (0 if observed is None else observed.nbytes) <= self._room:
                try:
                    self._kept[index] = self._keep(target), None if observed is None else self._keep(observed)
                except OSError:  # the disk is full after all
                    self._room = 0
        return picture

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of a picture that is kept."""
        height, width, _ = self._kept[index][0].shape
        return height, width

    def cut(self, index: int, top: int, left: int, size: int) -> tuple[Tensor, Tensor | None]:
        """The window of a picture that is kept, target and observed, C x size x size."""
        target, observed = self._kept[index]
        return self._cut(target, top, left, size), None if observed is None else self._cut(observed, top, left, size)

    def _keep(self, image: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> _Kept:
        height, width, channels = image.shape
        place = _Kept(self._end, (height, width, channels), image.dtype)
        data = memoryview(np.ascontiguousarray(image)).cast("B")
        while data:
            written = os.pwrite(self._file, data, self._end)
            data, self._end = data[written:], self._end + written
        return place

    def _cut(self, kept: _Kept, top: int, left: int, size: int) -> Tensor:
        _, width, channels = kept.shape
        row = width * channels * kept.dtype.itemsize
        data = os.pread(self._file, size * row, kept.offset + top * row)
        rows = np.frombuffer(data, kept.dtype).reshape(size, width, channels)
        window = torch.from_numpy(rows[:, left : left + size].copy()).permute(2, 0, 1)
        return window.float() / 255 if window.dtype == torch.uint8 else window.contiguous()


def _stored(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """C x H x W in [0, 1] as H x W x C, in 8 bits where that loses nothing."""
    levels = (image * 255).round().to(torch.uint8)
    exact = torch.equal(levels.float() / 255, image)
    stored: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = (levels if exact else image).permute(1, 2, 0).numpy()
    return stored
