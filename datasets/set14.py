"""Fourteen pictures for super-resolution, the mandrill and the zebra among them; the third is gray."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.scaled import ScaledSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Set14(ScaledSet):
    """Zeyde, Elad and Protter, "On single image scale-up using sparse-representations", Curves and Surfaces 2010; test only."""

    layout: ClassVar[str] = "Set14/image_SRF_{2,3,4}/img_NNN_SRF_4_{HR,LR}.png, or the same files in set14_x4"
    folders: ClassVar[tuple[str, ...]] = ("Set14", "SelfExSR/data/Set14", "set14_x{scale}")
