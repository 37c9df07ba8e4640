"""How much arithmetic a method does for an image."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from torch.utils.flop_counter import FlopCounterMode
from typing_extensions import override

from bench.method import Batch, Method
from bench.metric import CostMetric
from bench.metrics._inference import use, without_side_effects


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flops(CostMetric):
    """GFLOPs an image, a multiply-accumulate counted as two; nan where nothing is counted (FFTs, element-wise work)."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "GFLOP"
    title: ClassVar[str] = "work"
    definition: ClassVar[str] = (
        "floating-point operations an image, 2 x multiply-accumulate, of convolutions, matrix products and attention"
    )

    @override
    def protocol(self) -> dict[str, Any]:
        """State the convention: many papers count multiply-accumulates, half of this."""
        return {"counts": "2 x MAC of convolutions, matrix products, attention", "counter": "torch.utils.flop_counter"}

    @override
    def __call__(self, method: Method, batch: Batch | int) -> float:
        with without_side_effects(method), FlopCounterMode(display=False) as counter:
            out = use(method, batch)
        total = counter.get_total_flops()
        return total / len(out) / 1e9 if total else math.nan
