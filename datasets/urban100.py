"""A hundred photographs of buildings for super-resolution, full of lines and repetition."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.scaled import ScaledSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Urban100(ScaledSet):
    """Huang, Singh and Ahuja, "Single image super-resolution from transformed self-exemplars", CVPR 2015; test only, factors 2 and 4."""

    layout: ClassVar[str] = "Urban100/image_SRF_{2,3,4}/img_NNN_SRF_4_{HR,LR}.png, or the same files in urban100_x4"
    folders: ClassVar[tuple[str, ...]] = ("Urban100", "SelfExSR/data/Urban100", "urban100_x{scale}")
