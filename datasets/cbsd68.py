"""The colour pictures of BSD68."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.flat import FlatSource


@dataclasses.dataclass(frozen=True, kw_only=True)
class CBSD68(FlatSource):
    """BSD68 in colour, as a folder of its own; where the whole Berkeley set is at hand, `bsds` tests on the same pictures."""

    origin: ClassVar[str] = "https://github.com/clausmichele/CBSD68-dataset"
    licence: ClassVar[str] = "research and education only"
    layout: ClassVar[str] = "CBSD68/original_png/*.png or CBSD68/*.png"
    folders: ClassVar[tuple[str, ...]] = ("CBSD68/original_png", "CBSD68", "cbsd68")
    training: ClassVar[tuple[str, ...]] = ("BSR/BSDS500/data/images/train", "bsds500_color/train")
