"""How much memory a method needs at most."""

from __future__ import annotations

import dataclasses
import resource
import sys
from typing import Any, ClassVar

import torch
from typing_extensions import override

from bench.method import Batch, Method
from bench.metric import CostMetric
from bench.metrics._inference import use, without_side_effects


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory(CostMetric):
    """Peak memory: of one use on CUDA; on a CPU of the whole process since it began, which is an upper bound only."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "MiB"
    title: ClassVar[str] = "memory"
    definition: ClassVar[str] = "peak memory of one use of the method; `measured` says by which counter"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"measured": "torch.cuda.max_memory_allocated during one use" if _on_cuda() else "peak resident set of the process so far"}

    @override
    def __call__(self, method: Method, batch: Batch | int) -> float:
        if _on_cuda():
            torch.cuda.reset_peak_memory_stats()
        with without_side_effects():
            use(method, batch)
        if _on_cuda():
            return torch.cuda.max_memory_allocated() / 2**20
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on macOS, KiB elsewhere


def _on_cuda() -> bool:
    return torch.get_default_device().type == "cuda"
