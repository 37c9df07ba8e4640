"""A few results as pictures: observed, restored, truth, and what the detector sees in each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.detector import Detections
from bench.evaluation import EvaluationSet
from bench.judging.detection import DetectionEvaluation
from bench.judging.png import write_png
from bench.method import Method
from bench.operators.images import clip

_WHICH = ("observed", "restored", "target")
_PHOTOS, _SCENES = 4, 2
_LONGEST = 640  # pixels of a side; larger pictures are cut


def write_gallery(
    folder: Path,
    method: Method,
    photos: EvaluationSet,
    judge: DetectionEvaluation | None,
    show: Callable[[Tensor], Tensor] = lambda image: image,
) -> None:
    """Write NN.json items and the PNG files they name (see `bench.store.record.TrialRecord.gallery`);
    `show` makes a picture visible (a window of CT).
    """
    items = [_restore(method, photos, i) for i in _choose_items(photos, _PHOTOS)]
    if judge:
        for i in _choose_items(judge.scenes, _SCENES):
            item = _restore(method, judge.scenes, i) | {"kind": "scene", "classes": list(judge.detector.classes)}
            item["boxes"] = {which: _boxes(judge, item[which]) for which in _WHICH}
            items.append(item)
    write_items(folder, items, show)


def write_items(folder: Path, items: Sequence[dict[str, Any]], show: Callable[[Tensor], Tensor] = lambda image: image) -> None:
    """Write items with their pictures, those of them that there are (observed, restored, target: C x H x W)."""
    for number, item in enumerate(items):
        width = item["target"].shape[-1]
        for which in [which for which in _WHICH if which in item]:
            file = f"{number:02d}_{which}.png"
            longest = _LONGEST * item[which].shape[-1] // width
            write_png(show(item[which])[:, :longest, :longest], folder / file)
            item[which] = file
        (folder / f"{number:02d}.json").write_text(json.dumps(item), encoding="utf-8")


def _choose_items(shown: EvaluationSet, k: int) -> list[int]:
    """K pictures spread over the set, each the one with most contrast among its neighbours: flat ones show nothing."""
    contrast = torch.cat([batch.target.flatten(1).std(1).cpu() for batch in shown.batches if batch.target is not None])
    return [int(part[contrast[part].argmax()]) for part in torch.arange(len(shown)).tensor_split(k) if len(part)]


def _restore(method: Method, shown: EvaluationSet, index: int) -> dict[str, Any]:
    """What a method makes of a picture, as an item for `write_items`."""
    start = 0
    for batch in shown.batches:
        if index < start + len(batch):
            one = batch.pick(index - start)
            assert one.target is not None
            restored = clip(method.restore(one.without_target())).nan_to_num()  # type: ignore[attr-defined]
            return {
                "name": shown.names[index],
                "kind": "photo",
                "observed": one.observed[0],
                "restored": restored[0],
                "target": one.target[0],
            }
        start += len(batch)
    raise IndexError(index)


def _boxes(judge: DetectionEvaluation, image: Tensor) -> list[list[float]]:
    """Rows x0, y0, x1, y1, number of the class, score."""
    found: Detections = judge.detector(image[None])[0].above(judge.metric.confidence)
    rows = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    return [[*box, label, score] for box, label, score in rows]
