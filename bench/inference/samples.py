"""Samples of a loaded generator, and files of them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.inference.files import write_bytes, write_png
from bench.inference.load import Loaded
from bench.judging.sheets import sheet
from bench.operators.images import clip

GRID = "grid.png"
POINTS = "samples.npy"
_AT_ONCE = 100
_IN_GRID = 100  # samples at most that the grid shows


def draw(loaded: Loaded, n: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> Tensor:
    """N samples on the CPU: n x d points, or n x C x H x W pictures in [0, 1].

    Raises:
        UsageError: the method draws no samples, or values that are no numbers.
    """
    method: Any = loaded.method
    if not hasattr(method, "sample"):
        raise UsageError(f"{loaded.origin.label} draws no samples: give it pictures, and no --samples")
    parts = []
    with evaluation_mode(method, seed):
        for start in range(0, n, _AT_ONCE):
            parts.append(method.sample(min(_AT_ONCE, n - start)).float().cpu())
            progress(start + len(parts[-1]))
    x = torch.cat(parts)
    x = clip(x) if x.dim() == 4 else x
    if not x.isfinite().all():
        raise UsageError(f"{loaded.origin.label} draws samples that are no numbers")
    return x


def files_of(n: int, to: Path) -> list[Path]:
    """The files that n samples may become."""
    digits = max(4, len(str(n - 1)))
    return [*(to / f"{i:0{digits}}.png" for i in range(n)), to / GRID, to / POINTS]


def write(x: Tensor, to: Path) -> list[Path]:
    """Pictures as a PNG each and a grid of the first; points as one array. Returns the files."""
    *pictures, grid, points = files_of(len(x), to)
    if x.dim() != 4:
        return [_write_array(points, x)]
    for path, one in zip(pictures, x, strict=True):
        write_png(path, _levels(one))
    shown = x[:_IN_GRID]
    write_png(grid, _levels(sheet(shown, math.ceil(math.sqrt(len(shown))))))
    return [*pictures, grid]


def _write_array(path: Path, x: Tensor) -> Path:
    file = io.BytesIO()
    np.save(file, x.numpy())
    write_bytes(path, file.getbuffer())
    return path


def _levels(x: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """C x H x W in [0, 1] to H x W x C; of other than 1 or 3 channels the first."""
    kept = x if len(x) in (1, 3) else x[:1]
    return (kept * 255).round().byte().permute(1, 2, 0).numpy()
