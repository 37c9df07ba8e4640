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

_ON_CUDA = "torch.cuda.max_memory_allocated during one use, less what was allocated before, plus the weights"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory(CostMetric):
    """Peak memory: of one use on CUDA, weights and all, without what else lies there (data sets, metric networks, other methods); on a CPU
    of the whole process since it began, which is an upper bound only.
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "MiB"
    title: ClassVar[str] = "memory"
    definition: ClassVar[str] = "peak memory of one use of the method; `measured` says by which counter"

    @override
    def protocol(self) -> dict[str, Any]:
        on_cuda = torch.get_default_device().type == "cuda"
        return {"measured": _ON_CUDA if on_cuda else "peak resident set of the process so far"}

    @override
    def __call__(self, method: Method, batch: Batch | int) -> float:
        if method.device.type == "cuda":
            return _of_use(method, batch) / 2**20
        with without_side_effects(method):
            use(method, batch)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on macOS, KiB elsewhere


def _of_use(method: Method, batch: Batch | int) -> int:
    """Bytes at most on the method's own device, less what lay there before, plus its weights."""
    before = torch.cuda.memory_allocated(method.device)
    torch.cuda.reset_peak_memory_stats(method.device)
    with without_side_effects(method):
        use(method, batch)
    networks = method.modules().values()
    weights = {x.data_ptr(): x.nbytes for network in networks for x in (*network.parameters(), *network.buffers())}
    return torch.cuda.max_memory_allocated(method.device) - before + sum(weights.values())
