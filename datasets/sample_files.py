"""Any set of small pictures of one size: a folder, a zip archive, or an array."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import torch
from typing_extensions import override

from bench.dataset import Split
from bench.errors import Unavailable
from bench.method import param
from datasets.reading.samples import SampleSet, SampleSource, sample_set
from datasets.reading.sets_in_files import read_samples, sample_shape

_MOST = 50_000  # pictures


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleFiles(SampleSource):
    """All pictures of a folder, a zip archive or a .npy or .npz array, to compare samples with; every split has all of them.

    Of more than 50,000 pictures so many are read, evenly spread.
    """

    origin: ClassVar[str] = "your own pictures"
    licence: ClassVar[str] = "that of your pictures"
    layout: ClassVar[str] = "sample_files[path=FOLDER, .zip, .npy or .npz]"

    path: str | None = param(None, "of the folder or file")

    @override
    def open(self, root: Path | None, split: Split) -> SampleSet:
        if self.path is None:
            raise Unavailable("data set 'sample_files': no pictures given; write sample_files[path=...]")
        place = Path(self.path).expanduser()
        x = read_samples(place, sample_shape(place), _MOST)
        return sample_set((x * 255).round().to(torch.uint8).numpy())
