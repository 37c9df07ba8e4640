"""Training batches without end. Batch i is a function of (seed, i) alone, so a resumed run sees what an undisturbed one sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench.task import Task


class Stream(Iterator[Any]):
    """Counter-based batches of a task; `drawn` is the whole state."""

    def __init__(self, task: Task, seed: int, batch_size: int, drawn: int = 0) -> None:
        self.task, self.seed, self.batch_size, self.drawn = task, seed, batch_size, drawn

    def __next__(self) -> Any:
        rng = torch.Generator().manual_seed(mix(self.seed, self.drawn))
        self.drawn += 1
        return self.task.batch(self.batch_size, rng)


def mix(*numbers: int) -> int:
    """One well-mixed 63-bit seed from several small numbers (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
