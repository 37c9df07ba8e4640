"""Boxes in files: annotations, and what a detector found, as COCO's JSON or as YOLO's text files."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.coco_json import UNREADABLE, corners, load_json, read_instances
from datasets.reading.matching import size_of_picture
from datasets.reading.outputs import few_of, named_files, stem_of
from datasets.reading.yolo import read_classes, read_found, read_rows

_YAML = ("classes.yaml", "data.yaml", "dataset.yaml")
_TEXT = frozenset({".txt"})
_LONGEST = 19  # digits of a number that is an id
_NOT_LABELS = "classes"  # labelling tools put a list of the classes beside the labels


@dataclasses.dataclass(frozen=True, eq=False)
class BoxTruth:
    """Annotated boxes.

    Attributes:
        path: where they were read from.
        classes: names, in the order of labels.
        objects: name of a picture -> n x 6: x0, y0, x1, y1 in pixels, label, 1 where it is a crowd.
        sizes: name of a picture -> its width and height in pixels, where that is known.
        ids: what a results file calls a picture -> its name.
        labels: what a results file calls a class -> its label.
    """

    path: Path
    classes: list[str]
    objects: Mapping[str, Tensor]
    sizes: Mapping[str, tuple[float, float]]
    ids: Mapping[Any, str]
    labels: Mapping[Any, int]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over what the files say."""
        said = [(name, boxes.tolist(), self.sizes.get(name)) for name, boxes in self.objects.items()]
        return hashlib.sha256(repr((self.classes, said)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_truth(path: Path, images: Path | None = None) -> BoxTruth:
    """Annotations.

    Args:
        path: a COCO file (images, annotations, categories); or a folder with YOLO's `labels/` and the names of the classes in a yaml file.
        images: of YOLO's labels, the folder of the pictures; None: `images/` in that folder.

    Raises:
        UsageError: a file is missing, damaged or says something else; labels belong to no picture.
    """
    return _read_yolo(path, images or path / "images") if path.is_dir() else _read_coco(path)


def open_found(path: Path, match: str, truth: BoxTruth) -> Callable[[str], Tensor]:
    """What a detector found, by the name of a picture: n x 6: x0, y0, x1, y1 in pixels, label, score.

    Args:
        path: a COCO results file (a list of {image_id, category_id, bbox, score}); or a folder of YOLO's text files, one a picture, with a
            confidence at the end of each line. A picture of which it says nothing has no boxes.
        match: how YOLO's files are called (see `datasets.reading.outputs.named_files`).
        truth: the annotations, whose pictures and classes there may be alone.

    Raises:
        UsageError: as for the truth; a picture or a class is unknown.
    """
    return _open_yolo(path, match, truth) if path.is_dir() else _open_coco(path, truth)


# -- COCO
def _read_coco(path: Path) -> BoxTruth:
    found = read_instances(path, stem_of)
    objects = {name: _rows([(*box, label, crowd) for label, box, crowd in found.objects.get(i, ())]) for i, name in found.names.items()}
    if not objects:
        raise UsageError(f"{path} has no pictures")
    sizes = {found.names[i]: size for i, image in found.images.items() if (size := _size_in(image)) is not None}
    return BoxTruth(path, found.classes, objects, sizes, found.names, found.labels)


def _size_in(image: Mapping[str, Any]) -> tuple[float, float] | None:
    """Width and height that the entry of an image states."""
    sides = image.get("width"), image.get("height")
    return (float(sides[0]), float(sides[1])) if all(isinstance(s, int | float) and 0 < s < math.inf for s in sides) else None  # type: ignore[arg-type]


def _open_coco(path: Path, truth: BoxTruth) -> Callable[[str], Tensor]:
    found: dict[str, list[tuple[float, ...]]] = {}
    where = ""
    try:
        entries = load_json(path)
        if not isinstance(entries, list):
            raise TypeError("it is no list of {image_id, category_id, bbox, score}")
        for number, entry in enumerate(entries):
            where = f"entry {number}: "
            name = _known(truth.ids, entry["image_id"], "image_id", "pictures", truth.path)
            label = _known(truth.labels, entry["category_id"], "category_id", "classes", truth.path)
            if not 0 <= (score := float(entry["score"])) <= 1:
                raise ValueError(f"the score {score} is not in [0, 1]")
            found.setdefault(name, []).append((*corners(entry["bbox"]), label, score))
    except UNREADABLE as error:
        told = f"it states no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(one_line(f"cannot read the boxes {path}: {where}{told}")) from error
    return lambda name: _rows(found.get(name, []))


def _known(table: Mapping[Any, Any], key: Any, what: str, of: str, path: Path) -> Any:
    if key not in table:
        raise ValueError(f"the {what} {key!r} is none of the {len(table)} {of} of {path}, which are {few_of([str(k) for k in table])}")
    return table[key]


# -- YOLO
def _read_yolo(path: Path, images: Path) -> BoxTruth:
    if not (path / "labels").is_dir():
        raise UsageError(one_line(f"{path} has no folder labels: give a COCO file, or the folder that holds YOLO's labels/ and images/"))
    classes = read_classes(_yaml_in(path))
    pictures, files = named_files(images), named_files(path / "labels", endings=_TEXT)
    _refuse_besides([name for name in files if name != _NOT_LABELS], pictures, path / "labels", images)
    sizes = {name: (float(width), float(height)) for name, file in pictures.items() for width, height in [size_of_picture(file)]}
    objects = {}
    for name in pictures:
        rows = read_rows(files[name], len(classes)) if name in files else torch.zeros(0, 5)
        objects[name] = torch.cat([_in_pixels(rows[:, 1:5], sizes[name]), rows[:, :1], torch.zeros(len(rows), 1)], dim=1)
    return BoxTruth(path, classes, objects, sizes, _ids_of(objects), {i: i for i in range(len(classes))})


def _ids_of(names: Collection[str]) -> dict[Any, str]:
    """What results may call pictures of files: by their names, or by the number that the name is, where it is that of one alone."""
    numbers = {name: int(name) for name in names if name.isascii() and name.isdigit() and len(name) < _LONGEST}
    alone = {number for number, count in Counter(numbers.values()).items() if count == 1}
    return {**{name: name for name in names}, **{number: name for name, number in numbers.items() if number in alone}}


def _yaml_in(folder: Path) -> Path:
    """The file with the names of the classes."""
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    known = [file for file in files if file.name in _YAML] or files
    if len(known) != 1:
        told = f"has {len(known)} that may hold" if known else "has none for"
        raise UsageError(one_line(f"{folder} {told} the names of the classes: call one {_YAML[0]}"))
    return known[0]


def _open_yolo(path: Path, match: str, truth: BoxTruth) -> Callable[[str], Tensor]:
    files = named_files(path, match, _TEXT)
    _refuse_besides([name for name in files if name != _NOT_LABELS], truth.objects, path, truth.path)
    if unsized := [name for name in files if name in truth.objects and name not in truth.sizes]:
        raise UsageError(one_line(f"{truth.path} states no width and height of the picture {unsized[0]}, which YOLO's fractions need"))

    def read(name: str) -> Tensor:
        if name not in files:
            return torch.zeros(0, 6)
        rows = read_found(files[name], len(truth.classes))
        return torch.cat([_in_pixels(rows[:, 1:5], truth.sizes[name]), rows[:, :1], rows[:, 5:]], dim=1)

    return read


def _refuse_besides(names: Collection[str], pictures: Collection[str], path: Path, truth: Path) -> None:
    if besides := [name for name in names if name not in pictures]:
        raise UsageError(one_line(f"{path} has {len(besides)} files that are of no picture of {truth}: {few_of(besides)}"))


def _in_pixels(rows: Tensor, size: tuple[float, float]) -> Tensor:
    """Centres and sizes as fractions -> corners in pixels: n x 4."""
    middle, half = rows[:, :2], rows[:, 2:] / 2
    return torch.cat([middle - half, middle + half], dim=1) * torch.tensor([*size, *size], dtype=torch.float32)


def _rows(rows: list[tuple[float, ...]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
