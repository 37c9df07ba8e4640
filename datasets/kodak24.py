"""Kodak's 24 colour photographs."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.flat import FlatSource


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kodak24(FlatSource):
    """Scans of film, 768 x 512, nearly without noise; to test on only."""

    origin: ClassVar[str] = "https://r0k.us/graphics/kodak/"
    licence: ClassVar[str] = "released by Kodak for unrestricted use"
    layout: ClassVar[str] = "kodak24/kodim*.png"
    folders: ClassVar[tuple[str, ...]] = ("kodak24", "Kodak24", "kodak")
