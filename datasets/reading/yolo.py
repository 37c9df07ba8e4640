"""Labels as YOLO's tools write them: a text file a picture, and the names of the classes in a YAML file.
What ultralytics' reader takes is taken.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.pixels import check_file

_LEAST, _MOST = -0.01, 1.01  # what rounding may make of fractions of a picture; boxes are clipped to it
_LARGEST = 64 << 20  # bytes of what was found in a picture
_CLASSES = 100_000  # a file that says `nc` alone could ask for any number


def read_rows(path: Path, n_classes: int) -> Tensor:
    """The boxes of a picture: n x 5, class, centre x, centre y, width, height; all but the class as fractions of the picture.

    Blank lines are passed over, a line that is there twice counts once, and an outline (class, x y x y x y ...) gives the box around it. A
    picture without a file has no boxes.

    Raises:
        UsageError: a line is something else (named by its number).
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path.is_file() else []
    rows: dict[tuple[float, ...], None] = {}  # in order, each once
    for number, line in enumerate(lines, start=1):
        if line.strip():
            rows[_row(line, n_classes, f"{path}:{number}")] = None
    return torch.tensor(list(rows), dtype=torch.float32).reshape(-1, 5)


def read_found(path: Path, n_classes: int) -> Tensor:
    """What a detector found in a picture: n x 6, as `read_rows` and the confidence, [0, 1]; equal lines are as many boxes.

    Raises:
        UsageError: a line is something else (named by its number), or the file cannot be read.
    """
    try:
        check_file(path)
        if (size := path.stat().st_size) > _LARGEST:
            raise ValueError(f"it has {size:,} bytes, more than the boxes of a picture have")
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(one_line(f"cannot read {path}: {error}; replace it")) from error
    rows = [_found(line, n_classes, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)


def read_classes(path: Path) -> list[str]:
    """The classes of a data file, in order: `names` as a list or as a mapping from numbers, or `nc` alone, their count.

    Raises:
        UsageError: it says neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else ""
        content = yaml.load(text, Loader=yaml.BaseLoader)  # every scalar stays text: a class may be called "no" or "1.0"
        names = _named(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"{path}: expected `names:` and below it the classes, as lines `  0: person` numbered from 0 or as a list: {why}",
        ) from error
    return names


def _row(line: str, n_classes: int, where: str) -> tuple[float, ...]:
    try:
        label, *values = (float(word) for word in line.split())
    except ValueError:
        label, values = math.nan, []
    if len(values) > 4 and len(values) % 2 == 0 and _fractions(values):
        values = _around(values[::2], values[1::2])
    if len(values) != 4 or not (label.is_integer() and 0 <= label < n_classes) or not _fractions(values) or min(values[2:]) < 0:
        raise UsageError(
            f"{where}: expected `class x y width height` with a class below {n_classes} and fractions in [0, 1]: {line[:80]!r}",
        )
    return (label, *values)


def _found(line: str, n_classes: int, where: str) -> tuple[float, ...]:
    *box, last = line.split()
    if len(box) == 4:
        raise UsageError(f"{where}: no confidence stands behind the box: write `class x y width height confidence`: {line[:80]!r}")
    try:
        confidence = float(last)
    except ValueError:
        confidence = math.nan
    if len(box) != 5 or not 0 <= confidence <= 1:
        raise UsageError(f"{where}: expected `class x y width height confidence` with a confidence in [0, 1]: {line[:80]!r}")
    return (*_row(" ".join(box), n_classes, where), confidence)


def _fractions(values: list[float]) -> bool:
    return all(_LEAST <= value <= _MOST for value in values)


def _around(x: list[float], y: list[float]) -> list[float]:
    """Centre and size of the box around points."""
    return [(min(x) + max(x)) / 2, (min(y) + max(y)) / 2, max(x) - min(x), max(y) - min(y)]


def _named(content: dict[str, Any]) -> list[str]:
    names, count = content.get("names") or None, content.get("nc") or None
    if names is None:
        if not 0 < int(count or 0) <= _CLASSES:
            raise ValueError("there is neither")
        return [f"class_{i}" for i in range(int(count or 0))]
    numbered = {int(number): name for number, name in names.items()} if isinstance(names, dict) else dict(enumerate(names))
    words = not isinstance(names, str) and all(isinstance(name, str) for name in numbered.values())
    if not words or sorted(numbered) != list(range(len(numbered))):
        raise ValueError("these are other names, or other numbers")
    if count is not None and int(count) != len(numbered):
        raise ValueError(f"nc is {count}, but there are {len(numbered)} names")
    return [numbered[i] for i in range(len(numbered))]
