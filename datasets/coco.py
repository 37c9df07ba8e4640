"""Photographs with boxes of 80 kinds of things: Microsoft COCO, the 2017 validation part."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets._base import Entry, FileSource, Picture, PictureSet, Split, image_files, read_image

_Object = tuple[int, tuple[float, float, float, float], bool]  # class, box, whether it is a crowd


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coco(FileSource):
    """Lin et al., "Microsoft COCO: common objects in context", ECCV 2014; test only. Crowds are kept apart from boxes; pictures without a box stay.

    Reads the authors' JSON or YOLO text files; either way boxes are in pixels, clipped to the picture, and labels count from 0 in the order of
    `classes`. Boxes without area, of which the published annotations have a few, are left out.
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
    found = objects.get(entry.files[0].name, ())
    boxes = torch.tensor([box for _, box, _ in found], dtype=torch.float32).reshape(-1, 4)
    labels, crowds = (torch.tensor([note[i] for note in found], dtype=dtype) for i, dtype in ((0, torch.int64), (2, torch.bool)))
    return _annotated(entry.name, sharp, boxes, labels, crowds)


def _with_yolo_boxes(folder: Path, n_classes: int, entry: Entry) -> Picture:
    sharp = read_image(entry.files[0])
    rows = _yolo_rows(folder / f"{entry.files[0].stem}.txt", n_classes)
    height, width = sharp.shape[1:]
    middle, half = rows[:, 1:3], rows[:, 3:5] / 2
    boxes = torch.cat([middle - half, middle + half], dim=1) * torch.tensor([width, height, width, height])
    return _annotated(entry.name, sharp, boxes, rows[:, 0].long(), torch.zeros(len(rows), dtype=torch.bool))


def _annotated(name: str, sharp: Tensor, boxes: Tensor, labels: Tensor, crowds: Tensor) -> Picture:
    """The picture with what of its boxes lies inside."""
    height, width = sharp.shape[1:]
    boxes = torch.minimum(boxes.clamp_min(0), torch.tensor([width, height, width, height], dtype=torch.float32))
    seen = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    one, many = seen & ~crowds, seen & crowds
    return Picture(name=name, sharp=sharp, boxes=boxes[one], labels=labels[one], crowds=boxes[many], crowd_labels=labels[many])


def _instances(path: Path) -> tuple[list[str], dict[str, list[_Object]]]:
    """Class names in order of their ids, and the objects of each file name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images, categories = _by_id(content["images"]), _by_id(content["categories"])
        label = {key: i for i, key in enumerate(sorted(categories))}
        objects: dict[str, list[_Object]] = defaultdict(list)
        for note in content["annotations"]:
            name = Path(images[note["image_id"]]["file_name"]).name
            objects[name].append((label[note["category_id"]], _corners(note["bbox"]), bool(note.get("iscrowd"))))
        _by_id([note for note in content["annotations"] if "id" in note])
        return [str(categories[key]["name"]) for key in label], objects
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(one_line(f"cannot read the COCO annotations {path}: {type(error).__name__}: {error}; replace the file")) from error


def _by_id(items: Sequence[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    found = {item["id"]: item for item in items}
    if len(found) < len(items):
        twice = next(item["id"] for item in items if found[item["id"]] is not item)
        raise ValueError(f"the id {twice!r} is given twice")
    return found


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    """X, y, width, height -> corners."""
    if not isinstance(box, list):
        raise TypeError(f"the box {box!r} is no list")
    x, y, width, height = map(float, box)
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        raise ValueError(f"the box {box} has a negative side or is not finite")
    return x, y, x + width, y + height


def _yolo_classes(path: Path) -> list[str]:
    """The `names:` of a YOLO data file, one `number: name` a line."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    names = dict(re.findall(r"^ +(\d+): *(.+?) *$", text.partition("names:")[2], re.MULTILINE))
    if not names or [int(number) for number in names] != list(range(len(names))):
        raise UsageError(f"{path}: expected `names:` and below it the classes as lines `  0: person`, numbered from 0")
    return [name.strip("'\"") for name in names.values()]


def _yolo_rows(path: Path, n_classes: int) -> Tensor:
    """Rows n x 5: class, centre x, centre y, width, height; all but the class as fractions of the picture."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != 5 or not (row[0].is_integer() and 0 <= row[0] < n_classes) or not all(0 <= v <= 1 for v in row[1:]):
            raise UsageError(
                f"{path}:{number}: expected `class x y width height` with a class below {n_classes} and fractions in [0, 1]: {line[:80]!r}"
            )
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
