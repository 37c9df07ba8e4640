"""How many pixels a method puts out in a second."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from bench.method import Batch, Method
from bench.metric import CostMetric
from bench.metrics._inference import hardware, seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Throughput(CostMetric):
    """Megapixels of output a second at the batch given: comparable across image sizes, as milliseconds an image are not."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "MP/s"
    definition: ClassVar[str] = "10^6 output pixels (not channels) a second of wall-clock time, median after warm-up, the device synchronised"

    warmup: int = 2
    repeats: int = 5

    def protocol(self) -> dict[str, Any]:
        """The machine."""
        return hardware()

    def __call__(self, method: Method, batch: Batch | int) -> float:
        """Megapixels a second. See the base class."""
        elapsed, out = seconds(method, batch, self.warmup, self.repeats)
        return len(out) * out.shape[-2] * out.shape[-1] / elapsed / 1e6
