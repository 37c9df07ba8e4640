"""Real noise: 15 crops of photographs at high ISO, each with the mean of many shots as truth."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Picture, Split
from bench.errors import UsageError
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry
from datasets.reading.pixels import read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class CC15(FileSource):
    """Nam, Hwang, Matsushita and Kim, "A holistic approach to cross-channel image noise modeling", CVPR 2016; 512 x 512, to test on only.

    They are crops of eleven photographs; which of which is not on record, so that each counts as a group of its own.
    """

    origin: ClassVar[str] = "https://github.com/csjunxu/MCWNNM_ICCV2017 (Real_ccnoise_denoised_part)"
    licence: ClassVar[str] = "research only"
    layout: ClassVar[str] = "cc15/*real.png with *mean.png beside it"
    folders: ClassVar[tuple[str, ...]] = ("cc15", "CC15", "Real_ccnoise_denoised_part")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """Noisy pictures in the order of their names, each with its truth."""
        noisy = [path for path in image_files(folder) if path.stem.endswith("real")] if split == "test" else []
        stems = [path.stem.removesuffix("real") for path in noisy]
        pairs = [Entry(stem.rstrip("_"), (path, path.with_stem(stem + "mean"))) for stem, path in zip(stems, noisy)]
        if alone := [entry.files[0] for entry in pairs if not entry.files[1].is_file()]:
            raise UsageError(f"data set 'cc15': {alone[0]} has no *mean.png beside it")
        return pairs

    @override
    def load(self, entry: Entry) -> Picture:
        noisy, mean = (read_image(file) for file in entry.files)
        return Picture(name=entry.name, target=mean, observed=noisy)
