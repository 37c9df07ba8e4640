"""The 68 gray photographs of nearly every denoising table."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.flat import FlatSource
from datasets.train400 import Train400


@dataclasses.dataclass(frozen=True, kw_only=True)
class BSD68(FlatSource):
    """Roth and Black, "Fields of experts", IJCV 2009: 321 x 481, from the Berkeley set.
    Trained on `train400`, as DnCNN is, where it is found.
    """

    origin: ClassVar[str] = "https://github.com/cszn/DnCNN (testsets/BSD68)"
    licence: ClassVar[str] = "research and education only"
    layout: ClassVar[str] = "bsd68_gray/*.png, BSD68/*.png or Set68/*.png"
    folders: ClassVar[tuple[str, ...]] = ("bsd68_gray", "BSD68", "bsd68", "Set68")
    training: ClassVar[tuple[str, ...]] = Train400.folders
