"""Five pictures that every table on super-resolution reports: baby, bird, butterfly, head, woman."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.scaled import ScaledSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Set5(ScaledSet):
    """Bevilacqua, Roumy, Guillemot and Alberi-Morel, "Low-complexity single-image super-resolution", BMVC 2012; test only."""

    layout: ClassVar[str] = "Set5/image_SRF_{2,3,4}/img_NNN_SRF_4_{HR,LR}.png, or the same files in set5_x4"
    folders: ClassVar[tuple[str, ...]] = ("Set5", "SelfExSR/data/Set5", "set5_x{scale}")
