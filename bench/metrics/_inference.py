"""One use of a trained method: what the cost metrics measure."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import statistics
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Method
from bench.metric import CostMetric
from bench.operators import chance
from bench.spec import param


@contextlib.contextmanager
def without_side_effects(method: Method) -> Iterator[None]:
    """No gradients, and the random numbers (of CPU and device) go on afterwards as if nothing had happened."""
    with torch.random.fork_rng(chance.gpus(method.device)), torch.no_grad():
        yield


def use(method: Method, batch: Batch | int) -> Tensor:
    """Restore the batch (the truth taken away), or sample that many images; returns when the device is done."""
    out: Tensor = method.sample(batch) if isinstance(batch, int) else method.restore(batch.without_target())  # type: ignore[attr-defined]
    if out.is_cuda:
        torch.cuda.synchronize(out.device)
    return out


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timed(CostMetric):
    """Base of the speeds. The machine stands on the card."""

    warmup: int = param(2, "uses before any is timed")
    repeats: int = param(5, "uses that are timed; their median counts")

    def __post_init__(self) -> None:
        if self.warmup < 0 or self.repeats < 1:
            raise ValueError(f"warmup must be >= 0 and repeats >= 1, not {self.warmup} and {self.repeats}")

    @override
    def protocol(self) -> dict[str, Any]:
        return _hardware()

    def seconds(self, method: Method, batch: Batch | int) -> tuple[float, Tensor]:
        """Median wall-clock seconds of one use after warm-up, and what it returned."""
        elapsed = []
        with without_side_effects(method):
            for _ in range(self.warmup + self.repeats):
                start = perf_counter()
                out = use(method, batch)
                elapsed.append(perf_counter() - start)
        return statistics.median(elapsed[self.warmup :]), out


def _hardware() -> dict[str, Any]:
    """What decides a speed besides the code: processor, threads, versions."""
    if (device := torch.get_default_device()).type == "cuda":
        return {"device": torch.cuda.get_device_name(device), "torch": torch.__version__}
    return {"device": _processor(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
