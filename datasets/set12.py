"""Twelve gray pictures that denoising papers have always shown: cameraman, house, peppers, Lena, ..."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.flat import FlatSource
from datasets.train400 import Train400


@dataclasses.dataclass(frozen=True, kw_only=True)
class Set12(FlatSource):
    """Seven of 256 x 256 and five of 512 x 512. Trained on `train400`, as DnCNN is, where it is found."""

    origin: ClassVar[str] = "https://github.com/cszn/DnCNN (testsets/Set12)"
    licence: ClassVar[str] = "unclear: pictures of the public domain and scans of unknown rights"
    layout: ClassVar[str] = "set12/*.png"
    folders: ClassVar[tuple[str, ...]] = ("set12", "Set12")
    training: ClassVar[tuple[str, ...]] = Train400.folders
