"""Where in the code something happens, for a reader."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import torch

_HERE, _ROOT = Path(__file__).parent, Path(__file__).parents[2]
_OTHERS = (str(Path(torch.__file__).parent), str(_HERE), contextlib.__file__)


def place() -> str:
    """The innermost line that is neither torch's nor of this folder, such as "methods/gan/gan.py:58"; empty where there is none."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((*_OTHERS, "<")):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return ""
    file = Path(frame.f_code.co_filename)
    return f"{file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file.name}:{frame.f_lineno}"
