"""Annotations as COCO's authors write them: one JSON file with images, categories and boxes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.pixels import check_file

Box = tuple[float, float, float, float]
Object = tuple[int, Box, bool]  # label, corners, whether it is a crowd
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading JSON that holds something else may raise."""

_LARGEST = 1 << 30  # bytes of a file that is parsed in memory: some ten million boxes


@dataclasses.dataclass(frozen=True)
class Instances:
    """What an annotation file says.

    Attributes:
        classes: names, in order of the ids of categories.
        labels: id of a category -> index of its class.
        names: id of an image -> its name, each of its own.
        images: id of an image -> its entry, as it is in the file.
        objects: id of an image -> its objects; boxes as x0, y0, x1, y1 in pixels, as they are.
    """

    classes: list[str]
    labels: dict[Any, int]
    names: dict[Any, str]
    images: dict[Any, Mapping[str, Any]]
    objects: dict[Any, list[Object]]


def read_instances(path: Path, name_of: Callable[[str], str]) -> Instances:
    """Read an annotation file.

    Args:
        path: of the file.
        name_of: the name of an image by its `file_name`.

    Raises:
        UsageError: the file is missing, damaged or says something else.
    """
    try:
        content = load_json(path)
        images, categories = _by_id(content["images"]), _by_id(content["categories"])
        labels = {key: i for i, key in enumerate(sorted(categories))}
        names = {key: name_of(image["file_name"]) for key, image in images.items()}
        if names and (most := Counter(names.values()).most_common(1)[0])[1] > 1:
            raise ValueError(f"two pictures have the file {most[0]!r}")
        objects: dict[Any, list[Object]] = defaultdict(list)
        for note in content["annotations"]:
            if note["image_id"] not in names:
                raise KeyError(note["image_id"])
            objects[note["image_id"]].append((labels[note["category_id"]], corners(note["bbox"]), bool(note.get("iscrowd"))))
        _by_id([note for note in content["annotations"] if "id" in note])
        return Instances([str(categories[key]["name"]) for key in labels], labels, names, images, objects)
    except UNREADABLE as error:
        raise UsageError(one_line(f"cannot read the COCO annotations {path}: {type(error).__name__}: {error}; replace the file")) from error


def load_json(path: Path) -> Any:
    """What a JSON file holds. Raises one of `UNREADABLE`."""
    check_file(path)
    if (size := path.stat().st_size) > _LARGEST:
        raise ValueError(f"it has {size:,} bytes, more than are read")
    return json.loads(path.read_text(encoding="utf-8"))


def corners(box: Any) -> Box:
    """A row x, y, width, height as x0, y0, x1, y1. Raises TypeError or ValueError where it is none."""
    if not isinstance(box, list):
        raise TypeError(f"the box {box!r} is no list")
    x, y, width, height = map(float, box)
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        raise ValueError(f"the box {box} has a negative side or is not finite")
    return x, y, x + width, y + height


def _by_id(items: Sequence[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    found = {item["id"]: item for item in items}
    if len(found) < len(items):
        twice = next(item["id"] for item in items if found[item["id"]] is not item)
        raise ValueError(f"the id {twice!r} is given twice")
    return found
