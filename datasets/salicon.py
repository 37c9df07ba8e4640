"""Photographs of COCO, 640 x 480, and where people moved the mouse to see them sharp."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import Split
from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.files import FileSource, split_of
from datasets.reading.folders import image_files
from datasets.reading.matlab import read_mat
from datasets.reading.names import Entry
from datasets.reading.saliency import Seen, density_of

_LONGEST = 10_000  # pixels of a side: the pictures have 640


@dataclasses.dataclass(frozen=True, kw_only=True)
class Salicon(FileSource):
    """Jiang, Huang, Duan and Zhao, "SALICON: Saliency in context", CVPR 2015: 10,000 training and 5,000 validation photographs.

    The truth of the test split is not public: the authors' validation split is tested on, as in SalGAN's Table 3, and a tenth of the
    training split, chosen by a hash of the names, is for validation.
    """

    origin: ClassVar[str] = "http://salicon.net (images.zip, maps.zip, fixations.zip)"
    licence: ClassVar[str] = "CC BY 4.0; photographs under the terms of Flickr"
    layout: ClassVar[str] = "SALICON/images/{train,val}/*.jpg, SALICON/maps/{train,val}/*.png, SALICON/fixations/{train,val}/*.mat"
    folders: ClassVar[tuple[str, ...]] = ("SALICON", "salicon")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        part = "val" if split == "test" else "train"
        return [
            Entry(photo.stem, (photo, folder / "maps" / part / f"{photo.stem}.png", folder / "fixations" / part / f"{photo.stem}.mat"))
            for photo in image_files(folder / "images" / part)
            if split == "test" or (split_of(photo.stem) == "validation") == (split == "validation")
        ]

    @override
    def read(self, path: Path) -> Tensor:
        """Read a picture, or a file of fixations as a map of 0 and 1, 1 x H x W."""
        return _fixations(path) if path.suffix == ".mat" else super().read(path)

    @override
    def load(self, entry: Entry) -> Seen:
        photo, density, fixations = (self.read(file) for file in entry.files)
        return Seen(name=entry.name, observed=photo, target=density_of(density), fixations=fixations)


def _fixations(path: Path) -> Tensor:
    """`gaze(i).fixations` holds the x and y of observer i, counted from 1; `resolution` is height, width."""
    try:
        content = read_mat(path)
        height, width = (int(n) for n in content["resolution"].ravel())
        if not (0 < height <= _LONGEST and 0 < width <= _LONGEST):
            raise ValueError(f"its resolution is {height} x {width}")
        seen = torch.zeros(1, height, width)
        for observer in content["gaze"]:
            points = observer["fixations"].reshape(-1, 2)
            if not np.isfinite(points).all():
                raise ValueError("a fixation is nowhere")
            x, y = torch.as_tensor(points.astype(np.int64) - 1).unbind(1)
            seen[0, y.clamp(0, height - 1), x.clamp(0, width - 1)] = 1
    except Exception as error:  # damaged files can break anything
        reason = one_line(f"cannot read the fixations {path}: {error}")
        raise UsageError(f"{reason}; replace it, or leave such files out with on_corrupt=skip") from error
    return seen
