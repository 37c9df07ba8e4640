"""The 400 gray pictures that gray denoisers are trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train400(FileSource):
    """Chen and Pock, "Trainable nonlinear reaction diffusion", PAMI 2017: 180 x 180 crops of Berkeley pictures; to train on only."""

    origin: ClassVar[str] = "https://github.com/cszn/DnCNN (TrainingCodes: data/Train400)"
    licence: ClassVar[str] = "research and education only"
    layout: ClassVar[str] = "train400_gray/*.png or Train400/*.png"
    folders: ClassVar[tuple[str, ...]] = ("train400_gray", "Train400", "train400")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """All pictures for training, none for the other splits."""
        return [Entry(path.stem, (path,)) for path in image_files(folder)] if split == "train" else []
