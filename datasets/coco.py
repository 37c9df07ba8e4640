"""Photographs with boxes of 80 kinds of things: Microsoft COCO, the 2017 validation part."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bench.errors import UsageError
from datasets._base import Entry, FileSource, Picture, PictureSet, Split, image_files, read_image

_Object = tuple[int, tuple[float, float, float, float]]  # class, box


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coco(FileSource):
    """Lin et al., "Microsoft COCO: common objects in context", ECCV 2014; test only. Crowds are left out; pictures without a box stay.

    Reads the authors' JSON or YOLO text files; either way boxes are in pixels and labels count from 0 in the order of `classes`.
    """

    origin: ClassVar[str] = "https://cocodataset.org (val2017.zip, annotations_trainval2017.zip)"
    licence: ClassVar[str] = "annotations CC BY 4.0; photos under their Flickr licences"
    layout: ClassVar[str] = "coco/{val2017/*.jpg,annotations/instances_val2017.json}, or coco_val128/{images,labels,classes.yaml}"
    folders: ClassVar[tuple[str, ...]] = ("coco", "COCO", "coco2017", "coco_val128")

    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The photographs, sorted by file name."""
        images = folder / "images" if (folder / "labels").is_dir() else folder / "val2017"
        return [Entry(path.stem, (path,)) for path in image_files(images)] if split == "test" else []

    def open(self, root: Path | None, split: Split) -> PictureSet:
        """The photographs with their boxes.

        Raises:
            UsageError: an annotation file is damaged or missing (named).
        """
        folder = self.find(root)
        if not (entries := self.entries(folder, split)):
            return self._opened([])
        if (folder / "labels").is_dir():
            notes = [folder / "classes.yaml", *(folder / "labels" / f"{entry.name}.txt" for entry in entries)]
            notes = [path for path in notes if path.is_file()]  # YOLO writes no file for a picture without a box
            classes = _yolo_classes(folder / "classes.yaml")
            load = functools.partial(_with_yolo_boxes, folder / "labels", len(classes))
        else:
            notes = [folder / "annotations" / "instances_val2017.json"]
            classes, objects = _instances(notes[0])
            load = functools.partial(_with_boxes, objects)
        return self._opened(entries, load, notes, classes)


def _with_boxes(objects: Mapping[str, Sequence[_Object]], entry: Entry) -> Picture:
    sharp = read_image(entry.files[0])
    found = objects.get(entry.name, ())
    boxes = torch.tensor([box for _, box in found], dtype=torch.float32).reshape(-1, 4)
    return Picture(name=entry.name, sharp=sharp, boxes=_clipped(boxes, sharp), labels=torch.tensor([label for label, _ in found], dtype=torch.int64))


def _with_yolo_boxes(folder: Path, n_classes: int, entry: Entry) -> Picture:
    sharp = read_image(entry.files[0])
    rows = _yolo_rows(folder / f"{entry.name}.txt", n_classes)
    height, width = sharp.shape[1:]
    middle, half = rows[:, 1:3], rows[:, 3:5] / 2
    boxes = torch.cat([middle - half, middle + half], dim=1) * torch.tensor([width, height, width, height])
    return Picture(name=entry.name, sharp=sharp, boxes=_clipped(boxes, sharp), labels=rows[:, 0].long())


def _clipped(boxes: Tensor, sharp: Tensor) -> Tensor:
    height, width = sharp.shape[1:]
    return torch.minimum(boxes.clamp_min(0), torch.tensor([width, height, width, height], dtype=torch.float32))


def _instances(path: Path) -> tuple[list[str], dict[str, list[_Object]]]:
    """Class names in order of their ids, and the objects of each file name without its ending."""
    try:
        content = json.loads(path.read_text())
        categories = sorted(content["categories"], key=lambda category: category["id"])
        label = {category["id"]: i for i, category in enumerate(categories)}
        name = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
        objects: dict[str, list[_Object]] = defaultdict(list)
        for note in content["annotations"]:
            if not note.get("iscrowd"):
                x, y, width, height = note["bbox"]
                objects[name[note["image_id"]]].append((label[note["category_id"]], (x, y, x + width, y + height)))
        return [category["name"] for category in categories], objects
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read the COCO annotations {path}: {type(error).__name__}: {error}; replace the file") from error


def _yolo_classes(path: Path) -> list[str]:
    """The `names:` of a YOLO data file, one `number: name` a line."""
    text = path.read_text() if path.is_file() else ""
    names = dict(re.findall(r"^ +(\d+): *(.+?) *$", text.partition("names:")[2], re.MULTILINE))
    if not names or [int(number) for number in names] != list(range(len(names))):
        raise UsageError(f"{path}: expected `names:` and below it the classes as lines `  0: person`, numbered from 0")
    return [name.strip("'\"") for name in names.values()]


def _yolo_rows(path: Path, n_classes: int) -> Tensor:
    """Rows n x 5: class, centre x, centre y, width, height; all but the class as fractions of the picture."""
    rows = []
    for number, line in enumerate(path.read_text().splitlines() if path.is_file() else [], start=1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != 5 or not (row[0].is_integer() and 0 <= row[0] < n_classes) or not all(0 <= v <= 1 for v in row[1:]):
            raise UsageError(f"{path}:{number}: expected `class x y width height` with a class below {n_classes} and fractions in [0, 1]: {line!r}")
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
