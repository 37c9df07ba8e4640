"""The device as tests see it: switched on and off, counted, read."""

from __future__ import annotations

import collections
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _shadow import driver
from _shadow.floor import Floor
from _shadow.front import Front

ROOT = str(Path(__file__).resolve().parents[2]) + os.sep
_OURS = (str(Path(__file__).parent) + os.sep, os.path.join(ROOT, "."))  # no places in the code under test: the shadow itself, environments


class Device:
    """One or several GPUs that are not there; a context manager.

    Attributes:
        counts: "op", "wait", "h2d", "h2d wait", "d2h wait" -> how often; "bytes h2d", "bytes d2h".
        events: (kind, operation, place) -> how often, of all kinds but "op".
        faults: (message, place) -> how often it was raised.
        nondeterministic: (operation, place) that torch.use_deterministic_algorithms refuses on CUDA -> how often.
        out_of_memory: (operation, tensors) -> whether torch.OutOfMemoryError is to be raised.
        pending_error: raised by the next operation, and by every later one, as CUDA does after a kernel has failed.
        opened: the devices whose random state was asked for: on a real one that opens a context.
    """

    def __init__(self, count: int = 1, memory: int = 80 << 30) -> None:
        self.count, self.memory = count, memory
        self.current = 0
        self.making: int | None = None  # the device on which is made what has no tensor among its arguments
        self.target: tuple[int | None] | None = None  # where the copy under way goes
        self.non_blocking = False
        self.out_of_memory: Callable[[str, list[Tensor]], bool] = lambda name, given: False
        self.pending_error: Exception | None = None
        self.opened: set[int] = set()
        self.rng = {i: torch.Generator().manual_seed(12345 + i).get_state() for i in range(count)}
        self.faults: collections.Counter[tuple[str, str]] = collections.Counter()
        self.nondeterministic: collections.Counter[tuple[str, str]] = collections.Counter()
        self._silent = 0
        self.reset()

    def __enter__(self) -> Device:
        self._stack = contextlib.ExitStack()
        driver.install(self, self._stack)
        self._stack.enter_context(Floor(self))
        self._stack.enter_context(Front(self))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def reset(self) -> None:
        """Count from 0."""
        self.counts: collections.Counter[str] = collections.Counter()
        self.events: collections.Counter[tuple[str, str, str]] = collections.Counter()

    @property
    def waits(self) -> int:
        """How often the host waited for the device: for values, sizes and blocking copies."""
        return sum(n for kind, n in self.counts.items() if kind.endswith("wait"))

    def note(self, kind: str, name: str, size: int = 0) -> None:
        """Count one, of so many bytes."""
        if self._silent:
            return
        self.counts[kind] += 1
        if kind != "op":
            self.events[kind, name, place()] += 1
        if size:
            self.counts[f"bytes {kind.split()[0]}"] += size

    def refuse(self, error: Exception) -> Exception:
        """An error to raise, noted with its place."""
        self.faults[str(error), place()] += 1
        return error

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Count nothing."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    def check_ordinal(self, index: int | None) -> None:
        """As CUDA. Raises RuntimeError where there is no such device."""
        if index is not None and index >= self.count:
            raise RuntimeError("CUDA error: invalid device ordinal")


def place(depth: int = 3) -> str:
    """The innermost lines of the project's code that led here."""
    frame, found = sys._getframe(1), []
    while frame is not None and len(found) < depth:
        file = frame.f_code.co_filename
        if file.startswith(ROOT) and not file.startswith(_OURS):
            found.append(f"{file.removeprefix(ROOT)}:{frame.f_lineno}")
        frame: Any = frame.f_back
    return " < ".join(found) or "?"
