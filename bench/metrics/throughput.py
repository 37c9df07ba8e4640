"""How many pixels a method puts out in a second."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from typing_extensions import override

from bench.method import Batch, Method
from bench.metrics._inference import Timed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Throughput(Timed):
    """Megapixels of output a second at the batch given: comparable across image sizes, as milliseconds an image are not."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "MP/s"
    title: ClassVar[str] = "throughput"
    definition: ClassVar[str] = (
        "10^6 output pixels (not channels) a second of wall-clock time, median after warm-up, the device synchronised"
    )

    @override
    def __call__(self, method: Method, batch: Batch | int) -> float:
        """Return megapixels a second; nan for points, which have none."""
        elapsed, out = self.seconds(method, batch)
        return len(out) * out.shape[-2] * out.shape[-1] / elapsed / 1e6 if out.dim() == 4 else math.nan
