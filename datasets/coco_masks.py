"""Photographs and the masks of what is on them: Microsoft COCO with its panoptic labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from typing_extensions import override

from bench.dataset import Picture, Split
from bench.errors import UsageError
from datasets.reading.files import FileSource, split_of
from datasets.reading.folders import image_files
from datasets.reading.labels import VOC_COLOURS
from datasets.reading.names import Entry
from datasets.reading.own_folder import BY_HASH
from datasets.reading.pixels import read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class CocoMasks(FileSource):
    """Lin et al., ECCV 2014, and Kirillov et al., "Panoptic segmentation", CVPR 2019. A is the mask in colours, B the photograph.

    Masks are one-channel PNG of class ids; an id has the colour of the PASCAL VOC colour map. Split by a hash of the file's name.
    """

    origin: ClassVar[str] = "https://cocodataset.org (val2017.zip, panoptic annotations turned into one mask a picture)"
    licence: ClassVar[str] = "annotations CC BY 4.0; photos under their Flickr licences"
    layout: ClassVar[str] = "coco_val128/{images/NAME.jpg,semantic_masks/NAME.png}, or the same below coco_masks"
    parted: ClassVar[str] = BY_HASH + ": add pictures"
    folders: ClassVar[tuple[str, ...]] = ("coco_masks", "coco_val128")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        masks = [path for path in image_files(folder / "semantic_masks") if split_of(path.stem) == split]
        return [Entry(path.stem, (folder / "images" / f"{path.stem}.jpg", path)) for path in masks]

    @override
    def load(self, entry: Entry) -> Picture:
        """Read one pair.

        Raises:
            UsageError: the mask is of another size or not one channel of 8 bits.
        """
        photo = read_image(entry.files[0])
        with Image.open(entry.files[1]) as image:
            ids = np.array(image)
        if ids.dtype != np.uint8 or ids.shape != tuple(photo.shape[1:]):
            raise UsageError(f"{entry.files[1]}: expected a mask of 8-bit class ids of the photo's size, not {ids.dtype} {ids.shape}")
        return Picture(name=entry.name, target=photo, observed=VOC_COLOURS[torch.from_numpy(ids).long()].permute(2, 0, 1).contiguous())
