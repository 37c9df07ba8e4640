"""Batches in memory that stays: what a graph of an update reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.graphs._trace import Trace


class Feed(Iterator[Any]):
    """The stream that a method under graphs draws from: the task's, or batches that were drawn before.

    Attributes:
        waiting: batches that are handed out first.
        drawn: how many were handed out since `count`.
        trace: what is told where batches lie, while an update is watched.
    """

    def __init__(self, stream: Iterator[Any]) -> None:
        self.stream, self.waiting, self.drawn = stream, list[Any](), 0
        self.trace: Trace | None = None

    def __next__(self) -> Any:
        if self.trace is None:
            batch = self.waiting.pop(0) if self.waiting else next(self.stream)
        else:
            with self.trace.paused():
                batch = self.waiting.pop(0) if self.waiting else next(self.stream)
            if not (isinstance(batch, Tensor) or dataclasses.is_dataclass(batch)):
                self.trace.obstacle = f"a batch is a {type(batch).__name__}, neither a tensor nor a dataclass of tensors"
            for name, x in tensors_of(batch).items():
                self.trace.name(x, "batch", self.drawn, name)
        self.drawn += 1
        return batch


def tensors_of(batch: Any) -> dict[str, Tensor]:
    """The tensors of a batch by the names of their fields: of a `Batch`, `Samples`, another dataclass, or a tensor; of nothing else."""
    if isinstance(batch, Tensor):
        return {"": batch}
    if not dataclasses.is_dataclass(batch):
        return {}
    return {f.name: x for f in dataclasses.fields(batch) if isinstance(x := getattr(batch, f.name), Tensor)}


def buffers_like(batch: Any) -> Any:
    """A batch in memory of its own, with the same values."""
    copies = {name: torch.empty_like(x).copy_(x) for name, x in tensors_of(batch).items()}
    return copies[""] if isinstance(batch, Tensor) else dataclasses.replace(batch, **copies)


def fits(batch: Any, buffers: Any) -> bool:
    """Whether a batch differs from that in the buffers by the values of its tensors alone."""
    return bool(_frame(batch) == _frame(buffers))


def fill(buffers: Sequence[Any], batches: Sequence[Any], read: Collection[tuple[int, str]]) -> None:
    """Copy of batches into their buffers what is read of them: (number of the batch, name of the tensor)."""
    if read:
        places, values = ([tensors_of(these[i])[name] for i, name in read] for these in (buffers, batches))
        torch._foreach_copy_(places, values, non_blocking=True)


def _frame(batch: Any) -> Any:
    """All of a batch but the values of its tensors."""
    shapes = {name: (x.dtype, x.shape, x.device) for name, x in tensors_of(batch).items()}
    rest = {} if isinstance(batch, Tensor) else {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch) if f.name not in shapes}
    return type(batch), shapes, rest
