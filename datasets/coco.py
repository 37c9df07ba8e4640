"""Photographs with boxes of 80 kinds of things: Microsoft COCO, the 2017 validation part."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import Picture, PictureSet, Split
from datasets.reading.coco_json import Object, read_instances
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry, by_stem
from datasets.reading.pixels import read_image
from datasets.reading.yolo import read_classes, read_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coco(FileSource):
    """Lin et al., "Microsoft COCO: common objects in context", ECCV 2014; test only. Crowds are kept apart from boxes;
    pictures without a box stay.

    Reads the authors' JSON or YOLO text files; either way boxes are in pixels, clipped to the picture, and labels count from 0 in the order
    of `classes`. Boxes without area, of which the published annotations have a few, are left out.
    """

    origin: ClassVar[str] = "https://cocodataset.org (val2017.zip, annotations_trainval2017.zip)"
    licence: ClassVar[str] = "annotations CC BY 4.0; photos under their Flickr licences"
    layout: ClassVar[str] = "coco/{val2017/*.jpg,annotations/instances_val2017.json}, or coco_val128/{images,labels,classes.yaml}"
    folders: ClassVar[tuple[str, ...]] = ("coco", "COCO", "coco2017", "coco_val128")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The photographs, sorted by file name.

        Raises:
            UsageError: two share one file of YOLO labels.
        """
        by_yolo = (folder / "labels").is_dir()
        images = image_files(folder / ("images" if by_yolo else "val2017")) if split == "test" else []
        if by_yolo:
            by_stem(images)
        return [Entry(path.stem, (path,)) for path in images]

    @override
    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The photographs with their boxes.

        Raises:
            UsageError: an annotation file is damaged or missing (named).
        """
        folder = self.find(root)
        if not (entries := self.entries(folder, split)):
            return self._opened([])
        if (folder / "labels").is_dir():
            notes = [folder / "classes.yaml", *(folder / "labels" / f"{entry.files[0].stem}.txt" for entry in entries)]
            notes = [path for path in notes if path.is_file()]  # YOLO writes no file for a picture without a box
            classes = read_classes(folder / "classes.yaml")
            load = functools.partial(_with_yolo_boxes, folder / "labels", len(classes))
        else:
            notes = [folder / "annotations" / "instances_val2017.json"]
            classes, objects = _instances(notes[0])
            load = functools.partial(_with_boxes, objects)
        return self._opened(entries, load, notes, classes)


def _with_boxes(objects: Mapping[str, Sequence[Object]], entry: Entry) -> Picture:
    photo = read_image(entry.files[0])
    found = objects.get(entry.files[0].name, ())
    boxes = torch.tensor([box for _, box, _ in found], dtype=torch.float32).reshape(-1, 4)
    labels, crowds = (torch.tensor([note[i] for note in found], dtype=dtype) for i, dtype in ((0, torch.int64), (2, torch.bool)))
    return _annotated(entry.name, photo, boxes, labels, crowds)


def _with_yolo_boxes(folder: Path, n_classes: int, entry: Entry) -> Picture:
    photo = read_image(entry.files[0])
    rows = read_rows(folder / f"{entry.files[0].stem}.txt", n_classes)
    height, width = photo.shape[1:]
    middle, half = rows[:, 1:3], rows[:, 3:5] / 2
    boxes = torch.cat([middle - half, middle + half], dim=1) * torch.tensor([width, height, width, height])
    return _annotated(entry.name, photo, boxes, rows[:, 0].long(), torch.zeros(len(rows), dtype=torch.bool))


def _annotated(name: str, photo: Tensor, boxes: Tensor, labels: Tensor, crowds: Tensor) -> Picture:
    """The picture with its boxes clipped to it; boxes that have no area there are left out."""
    height, width = photo.shape[1:]
    boxes = torch.minimum(boxes.clamp_min(0), torch.tensor([width, height, width, height], dtype=torch.float32))
    seen = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    one, many = seen & ~crowds, seen & crowds
    return Picture(name=name, target=photo, boxes=boxes[one], labels=labels[one], crowds=boxes[many], crowd_labels=labels[many])


def _instances(path: Path) -> tuple[list[str], dict[str, list[Object]]]:
    """Class names in order of their ids, and the objects of each file name."""
    found = read_instances(path, lambda file: Path(file).name)
    return found.classes, {found.names[image]: objects for image, objects in found.objects.items()}
