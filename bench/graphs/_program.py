"""One kind of update: how it is reached, what it does, and how it is done again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from bench.graphs._trace import Trace
from bench.graphs._watched import Path
from bench.method import Logs

_PATIENCE = 4  # updates of one kind that are watched until two are alike


@dataclasses.dataclass
class Program:
    """One kind of update.

    Attributes:
        path: what it asks of the number of the update.
        obstacle: why it runs as ever; empty where it may be recorded.
        watched: how many updates were watched; `alike`: the last two were the same, `trace` and `numbers` (that were logged).
        draws: batches of an update.
        read: what of them it reads: (number of the batch, name of the tensor).
        memory: path -> address of the tensors on the method that what was recorded reads or writes.
        anneals: whether it sets learning rates.
    """

    path: Path
    obstacle: str = ""
    watched: int = 0
    alike: bool = False
    trace: Trace | None = None
    numbers: Any = None
    draws: int = 0
    anneals: bool = False
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    read: list[tuple[Any, ...]] = dataclasses.field(default_factory=list)
    buffers: list[Any] = dataclasses.field(default_factory=list)
    logs: dict[str, Tensor | float] = dataclasses.field(default_factory=dict)
    replay: Callable[[], None] | None = None

    def take_in(self, path: Path, trace: Trace, logs: Logs, difference: str) -> None:
        """What was seen of another update.

        Args:
            path: what it asked of its number.
            trace: what it asked of the device.
            logs: what it yielded.
            difference: what it changed in Python.
        """
        numbers = {key: value for key, value in logs.items() if not isinstance(value, Tensor)}
        if not difference and self.trace is not None:
            difference = self.trace.difference(trace)
            if not difference and repr(self.numbers) != repr(numbers):
                difference = f"it logs numbers that Python computes: {', '.join(numbers)}"
        self.path.questions += path.questions
        self.alike = self.trace is not None and not difference
        self.trace, self.numbers, self.watched = trace, numbers, self.watched + 1
        if self.watched > 1:  # the first may make what the others find
            self.obstacle = f"its updates depend on their number ({path.used})" if path.used else trace.obstacle
        if self.watched >= _PATIENCE and not self.alike:
            self.obstacle = self.obstacle or difference
