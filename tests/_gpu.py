"""The GPU of this machine, watched as the shadow device is."""

from __future__ import annotations

import contextlib
import os
import warnings

import torch


class GpuHere:
    """A context manager; see `_shadow.Device`. What is wrong on a real GPU raises by itself, and torch tells when the host waits for it.

    Attributes:
        faults, nondeterministic: empty.
    """

    faults: tuple[str, ...] = ()
    nondeterministic: tuple[str, ...] = ()

    def __enter__(self) -> GpuHere:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
        self._stack = contextlib.ExitStack()
        self._warned = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        self._stack.callback(torch.cuda.set_sync_debug_mode, "default")
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def reset(self) -> None:
        """Count from 0."""
        self._warned.clear()

    @property
    def events(self) -> list[tuple[str, str, str]]:
        """(kind, message, place) of every wait."""
        told = [warning for warning in self._warned if "synchronizing CUDA operation" in str(warning.message)]
        return [("wait", str(warning.message), f"{warning.filename}:{warning.lineno}") for warning in told]

    @property
    def waits(self) -> int:
        """How often the host waited for the device."""
        return len(self.events)
