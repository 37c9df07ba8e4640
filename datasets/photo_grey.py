"""Grey pictures and the photographs they were: colorization."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.operators.colour import luma
from datasets.reading.derived import Derived


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoGrey(Derived):
    """A is the luma of the photograph (BT.601: .299 R + .587 G + .114 B) three times, B the photograph."""

    origin: ClassVar[str] = "the photographs themselves"

    @override
    def derive(self, x: Tensor) -> Tensor:
        return luma(x).expand_as(x).contiguous()
