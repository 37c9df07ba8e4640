"""A hundred natural photographs for super-resolution: the test pictures of the first Berkeley segmentation set."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.scaled import ScaledSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class BSD100(ScaledSet):
    """Martin, Fowlkes, Tal and Malik, "A database of human segmented natural images", ICCV 2001; test only."""

    layout: ClassVar[str] = "BSD100/image_SRF_{2,3,4}/img_NNN_SRF_4_{HR,LR}.png, or the same files in bsd100_x4"
    folders: ClassVar[tuple[str, ...]] = ("BSD100", "SelfExSR/data/BSD100", "bsd100_x{scale}")
