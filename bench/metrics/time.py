"""How long a method takes for an image."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from bench.method import Batch, Method
from bench.metric import CostMetric
from bench.metrics._inference import hardware, seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Time(CostMetric):
    """Milliseconds an image at the batch given: the median of `repeats` uses after `warmup` ones."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "ms/image"
    definition: ClassVar[str] = "wall-clock milliseconds an image, median after warm-up, the device synchronised"

    warmup: int = 2
    repeats: int = 5

    def protocol(self) -> dict[str, Any]:
        """The machine."""
        return hardware()

    def __call__(self, method: Method, batch: Batch | int) -> float:
        """Milliseconds an image. See the base class."""
        elapsed, out = seconds(method, batch, self.warmup, self.repeats)
        return 1e3 * elapsed / len(out)
