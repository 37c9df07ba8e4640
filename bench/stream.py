"""Training batches without end. Batch i is a function of (seed, i) alone, so a resumed run sees what an undisturbed one sees."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench.task import Task

_BLOCK = 64  # batches whose seeds are made at once: between two updates, with cold caches, one costs ten times as much


class Stream(Iterator[Any]):
    """Counter-based batches of a task; `drawn` is the whole state."""

    def __init__(self, task: Task, seed: int, batch_size: int, drawn: int = 0) -> None:
        self.task, self.seed, self.batch_size, self.drawn = task, seed, batch_size, drawn

    def __next__(self) -> Any:
        block, place = divmod(self.drawn, _BLOCK)
        rng = torch.Generator().manual_seed(_seeds(self.seed, block)[place])
        self.drawn += 1
        return self.task.batch(self.batch_size, rng)


@functools.lru_cache(maxsize=16)
def _seeds(seed: int, block: int) -> list[int]:
    """Those of the batches of a block."""
    return [mix(seed, i) for i in range(block * _BLOCK, (block + 1) * _BLOCK)]


def mix(*numbers: int) -> int:
    """One well-mixed 63-bit seed from several small numbers (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
