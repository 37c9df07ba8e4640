"""The three layouts in which CIFAR-10 is found. None of them runs code that a file brings along."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import override

from bench.errors import UsageError

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # N x 3 x 32 x 32 and N

TRAIN, TEST = tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",)
_RECORD = 1 + 3 * 32 * 32  # bytes: label, red, green, blue, row by row
_ROWS, _COLUMNS = 25, 40  # tiles of a mosaic


def read(folder: Path, test: bool) -> Part:
    """The training or the test set, in the official order, whichever layout the folder has.

    Raises:
        UsageError: a file is missing or damaged (named).
    """
    for marker, reader in _LAYOUTS.items():
        if (folder / marker).is_file():
            try:
                parts = reader(folder, test)
            except UsageError:
                raise
            except Exception as error:  # a damaged file can raise nearly anything
                raise UsageError(f"cannot read CIFAR-10 in {folder}: {type(error).__name__}: {error}") from error
            return np.concatenate([x for x, _ in parts]), np.concatenate([labels for _, labels in parts])
    raise UsageError(f"no CIFAR-10 in {folder}: expected one of {', '.join(_LAYOUTS)}")


def _binary(folder: Path, test: bool) -> list[Part]:
    return [_records((folder / f"{name}.bin").read_bytes(), folder / f"{name}.bin") for name in (TEST if test else TRAIN)]


def _records(data: bytes, path: Path) -> Part:
    if not data or len(data) % _RECORD:
        raise UsageError(f"{path} is damaged: its size is no multiple of {_RECORD} bytes")
    table = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    return table[:, 1:].reshape(-1, 3, 32, 32), _checked(table[:, 0].astype(np.int64), path)


def _python(folder: Path, test: bool) -> list[Part]:
    return [_batch(folder / name) for name in (TEST if test else TRAIN)]


def _batch(path: Path) -> Part:
    with path.open("rb") as file:
        batch = _ArraysOnly(file, encoding="bytes").load()
    x, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"], np.int64)
    if x.dtype != np.uint8 or x.shape != (len(labels), _RECORD - 1):
        raise UsageError(f"{path} is damaged: its pictures are {x.dtype} of shape {x.shape}")
    return x.reshape(-1, 3, 32, 32), _checked(labels, path)


class _ArraysOnly(pickle.Unpickler):
    """Reads what the official batches hold, lists and byte arrays, and refuses to look up anything else: nothing that the file names is
    run.
    """

    @override
    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
        known |= {(f"numpy.{core}.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0] for core in ("core", "_core")}
        if (module, name) not in known:
            raise pickle.UnpicklingError(
                f"the file asks for {module}.{name}, which no CIFAR-10 batch holds: refused; use the binary version of the set"
            )
        return known[module, name]


def _mosaics(folder: Path, test: bool) -> list[Part]:
    files = json.loads((folder / "labels.json").read_text(encoding="utf-8"))["files"]
    return [_mosaic(folder / name, files[name]["labels"]) for name in sorted(files) if name.startswith("test") is test]


def _mosaic(path: Path, labels: list[int]) -> Part:
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB"))
    if sheet.shape != (_ROWS * 32, _COLUMNS * 32, 3) or len(labels) > _ROWS * _COLUMNS:
        raise UsageError(f"{path}: {len(labels)} labels for a mosaic of shape {sheet.shape}")
    tiles = sheet.reshape(_ROWS, 32, _COLUMNS, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32)
    return tiles[: len(labels)], _checked(np.array(labels, np.int64), path)


def _checked(labels: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
    if len(labels) == 0 or labels.min() < 0 or labels.max() > 9:
        raise UsageError(f"{path} is damaged: its labels are not 0 to 9")
    return labels


_LAYOUTS: dict[str, Callable[[Path, bool], list[Part]]] = {"data_batch_1.bin": _binary, "data_batch_1": _python, "labels.json": _mosaics}
