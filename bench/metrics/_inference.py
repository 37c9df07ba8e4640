"""One use of a trained method: what the cost metrics measure."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.method import Batch, Method


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No gradients, and the random numbers (CPU and CUDA) go on afterwards as if nothing had happened."""
    with torch.random.fork_rng(), torch.no_grad():
        yield


def use(method: Method, batch: Batch | int) -> Tensor:
    """Restore the batch (the truth taken away), or sample that many images; returns when the device is done."""
    out: Tensor = method.sample(batch) if isinstance(batch, int) else method.restore(batch.without_target())  # type: ignore[attr-defined]
    if out.is_cuda:
        torch.cuda.synchronize(out.device)
    return out


def seconds(method: Method, batch: Batch | int, warmup: int, repeats: int) -> tuple[float, Tensor]:
    """Median wall-clock seconds of one use after warm-up, and what it returned."""
    elapsed = []
    with quiet():
        for i in range(warmup + repeats):
            start = time.perf_counter()
            out = use(method, batch)
            if i >= warmup:
                elapsed.append(time.perf_counter() - start)
    return sorted(elapsed)[len(elapsed) // 2], out


def hardware() -> dict[str, Any]:
    """What decides a speed besides the code: it stands on the card."""
    if torch.get_default_device().type == "cuda":
        return {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    return {"device": _processor(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
