"""Pictures that were restored elsewhere, beside their truth: nothing is trained, `outputs[path=FOLDER]` brings what is judged.

The conventions of the literature differ by decibels (see bench/judging/profiles.py): `profile=all` shows each of them.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from torch import Tensor
from typing_extensions import override

from bench.judging.profiles import require_size
from bench.metric import ImageMetric
from bench.tasks._metrics import usable
from bench.tasks._restored_files import RestoredFiles
from datasets.reading.matching import size_of_picture
from datasets.reading.outputs import read_picture
from datasets.reading.pixels import header_of


@dataclasses.dataclass(kw_only=True, eq=False)
class Pictures(RestoredFiles):
    """Compare restored pictures with the true ones of the same names; they are read when they are compared, one at a time.

    A picture whose truth is stored without colour is compared in one channel.
    """

    @override
    def _read_output(self, file: Path, name: str) -> Tensor:
        """In as many channels as the truth has."""
        return read_picture(file, 1 if header_of(self._truth[name]).gray else 3)

    @override
    def _read_input(self, file: Path, name: str) -> Tensor:
        return read_picture(file, 3)

    @functools.cached_property
    @override
    def _metrics(self) -> tuple[dict[str, ImageMetric], dict[str, str]]:
        """Those that need larger pictures than the smallest are left out, with that reason."""
        smallest = min(self._truth, key=lambda name: min(size_of_picture(self._truth[name])))

        def tried(metric: ImageMetric) -> ImageMetric:
            require_size(metric, self._observe(smallest).truth, smallest)
            return metric

        return usable(self.metric_specs(), ImageMetric, "pictures", configure=tried)
