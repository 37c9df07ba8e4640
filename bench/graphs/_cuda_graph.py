"""What is launched on a CUDA GPU, recorded once and launched again as one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch


class Recorder(Protocol):
    """How the work of an update is recorded and done again, on the same memory with the same numbers, without Python."""

    def running(self) -> contextlib.AbstractContextManager[None]:
        """Around every update, recorded or not."""

    def record(self, update: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        """What `update` returns, and a function that does its work. Recording does none of it.

        Raises:
            RuntimeError: it cannot be recorded.
        """


class CudaRecorder:
    """`torch.cuda.CUDAGraph`s. Every update runs on one stream beside the current one, as autograd's nodes belong to a stream."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """After all that was asked of the current stream, and before all that will be."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            current.wait_stream(self.stream)

    def record(self, update: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        """See `Recorder`. Other threads, which may read data ahead, go on meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            result = update()
        return result, graph.replay
