"""How long a method takes for an image."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from typing_extensions import override

from bench.method import Batch, Method
from bench.metrics._inference import Timed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Time(Timed):
    """Milliseconds an image at the batch given: the median of `repeats` uses after `warmup` ones."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "ms"
    title: ClassVar[str] = "per image"
    definition: ClassVar[str] = "wall-clock milliseconds an image, median after warm-up, the device synchronised"

    @override
    def __call__(self, method: Method, batch: Batch | int) -> float:
        elapsed, out = self.seconds(method, batch)
        return 1e3 * elapsed / len(out)
