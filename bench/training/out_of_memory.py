"""What happens when the memory of the device runs out: training begins again on half the batch, or a line says what to change."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import torch

from bench.training.device_errors import allocation_failures

OnOOM = Literal["fail", "halve"]
T = TypeVar("T")

_HALVED = "batch_"  # folders of checkpoints begin with it


class EvaluationOutOfMemory(Exception):
    """Memory ran out in an evaluation."""


@contextlib.contextmanager
def evaluation_memory_guard() -> Iterator[None]:
    """Keep apart memory that runs out in an evaluation: no smaller training batch helps.

    Raises:
        EvaluationOutOfMemory: it did.
    """
    try:
        with allocation_failures():
            yield
    except torch.OutOfMemoryError as error:
        advice = (
            "in evaluation, where a smaller training batch does not help: lower the task's tile or samples with --set, or give --device cpu"
        )
        raise EvaluationOutOfMemory(f"{_describe(error)} {advice}") from error


def retry_with_smaller_batch(train: Callable[[int, Path], T], batch: int, folder: Path, on_oom: OnOOM) -> T:
    """What `train` returns, given the size of its micro-batches and a folder for its checkpoints.

    It is given the whole batch first and, each time that memory runs out, the largest part of it that is at most half of the last; each
    part has a folder of its own, so that a trial that is resumed goes on with the smallest. How much memory there is may depend on what
    else runs there.

    Raises:
        torch.OutOfMemoryError: not even one example fits, or `on_oom` is "fail".
    """
    tried = _smaller_batches(folder)
    size = min(tried, default=batch)
    while True:
        try:
            with allocation_failures():
                return train(size, tried.get(size, folder))
        except torch.OutOfMemoryError:
            if on_oom == "fail" or size == 1:
                raise
        size = next(part for part in range(size // 2, 0, -1) if batch % part == 0)
        tried[size] = folder / f"{_HALVED}{size}"
        tried[size].mkdir()
        gc.collect()  # what was trained is gone, but for cycles
        torch.cuda.empty_cache()


def advice(error: Exception, params: Mapping[str, str], on_oom: OnOOM) -> str:
    """What to change where training does not fit."""
    sizes = ", ".join(f"{k}={v}" for k, v in params.items() if k in ("batch_size", "ngf", "width"))
    change = {
        "fail": "lower it with --set batch_size=... or --set crop=..., or give --on-oom halve",
        "halve": "not even one example at a time fits: lower crop with --set, or the width of its networks",
    }
    return f"{_describe(error)}{f' with {sizes}' if sizes else ''}: {change[on_oom]}"


def _describe(error: Exception) -> str:
    return f"out of GPU memory ({str(error).splitlines()[0]})"


def _smaller_batches(folder: Path) -> dict[int, Path]:
    """Size of micro-batches -> where their checkpoints lie."""
    return {int(path.name.removeprefix(_HALVED)): path for path in folder.glob(f"{_HALVED}*")}
