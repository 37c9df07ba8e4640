"""The pictures of a report: observed, restored by each method, the truth, with a detector's boxes; or samples beside real data."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.store.record import TrialRecord

SIDE, QUALITY, BUDGET = 640, 95, 4_000_000  # pixels, WebP quality, bytes of one page's pictures


@dataclasses.dataclass(frozen=True)
class Box:
    """A detection in pixels of the original picture; `kind` numbers its class."""

    x: float
    y: float
    width: float
    height: float
    text: str
    kind: int


@dataclasses.dataclass(frozen=True)
class GalleryPicture:
    """One picture of a strip. `role` is observed, restored or target; `size` is the original's width and height."""

    caption: str
    role: str
    source: str  # a data: URL
    size: tuple[int, int]
    boxes: list[Box]


@dataclasses.dataclass(frozen=True)
class Strip:
    """One scene: observed, restored by each label, sharp."""

    name: str
    pictures: list[GalleryPicture]

    @property
    def has_boxes(self) -> bool:
        """Whether there are detections to show or hide."""
        return any(p.boxes for p in self.pictures)


def strips(records: Sequence[TrialRecord], labels: Sequence[str]) -> tuple[list[Strip], int]:
    """The scenes of the first finished trial of each label, and how many did not fit in the budget (the first always does).

    Args:
        records: trials of one task.
        labels: the order of the pictures.
    """
    folders: dict[str, Path] = {}
    for r in sorted(records, key=lambda r: r.seed):
        if r.outcome == "finished" and r.gallery and r.gallery.is_dir():
            folders.setdefault(r.label, r.gallery)
    scenes: dict[str, dict[str, tuple[Path, dict[str, Any]]]] = {}
    for label in labels:
        for file in sorted(folders[label].glob("*.json")) if label in folders else []:
            item = json.loads(file.read_text(encoding="utf-8"))
            scenes.setdefault(str(item["name"]), {})[label] = (file.parent, item)
    out: list[Strip] = []
    spent = 0
    for name, items in scenes.items():
        strip = _strip(name, items)
        spent += sum(len(p.source) for p in strip.pictures)
        if out and spent > BUDGET:
            break
        out.append(strip)
    return out, len(scenes) - len(out)


def _strip(name: str, items: dict[str, tuple[Path, dict[str, Any]]]) -> Strip:
    folder, first = next(iter(items.values()))
    kinds: dict[str, int] = {}
    found = [_picture("observed", "observed", folder, first, kinds)]
    found += [_picture(label, "restored", *place, kinds) for label, place in items.items()]
    found.append(_picture("real data" if first.get("kind") == "samples" else "truth", "target", folder, first, kinds))
    return Strip(name, [p for p in found if p])


def _picture(caption: str, role: str, folder: Path, item: dict[str, Any], kinds: dict[str, int]) -> GalleryPicture | None:
    from PIL import Image

    path = folder / item[role] if item.get(role) else None
    if path is None or not path.is_file():
        return None
    with Image.open(path) as file:
        size, image = file.size, file.convert("RGB")
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.save(out, "WEBP", quality=QUALITY)
    boxes = [_box(box, item.get("classes", []), kinds) for box in item.get("boxes", {}).get(role, [])]
    return GalleryPicture(caption, role, f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}", size, boxes)


def _box(box: Sequence[Any], classes: Sequence[str], kinds: dict[str, int]) -> Box:
    x0, y0, x1, y1, label, score = box
    number = int(label) if isinstance(label, float) and label.is_integer() else label  # older records hold 8.0
    name = classes[number] if isinstance(number, int) and 0 <= number < len(classes) else str(number)
    text = f"{name} {score:.2f}" if score is not None and math.isfinite(score) and score < 1 else name
    return Box(x0, y0, x1 - x0, y1 - y0, text, kinds.setdefault(name, len(kinds)) % 7)
