"""Boxes against boxes: greedy matching, counts per picture, COCO average precision. Pure functions."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.detector import Detections


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of n x 4 and m x 4 boxes (x0 y0 x1 y1): n x m; 0 where both are empty."""
    overlap = (torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])).clamp(min=0).prod(-1)  # n x m
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clamp(min=0).prod(-1) for box in (a, b))
    union = area_a[:, None] + area_b - overlap
    return torch.where(union > 0, overlap / union, 0.0)


def crowd_coverage(found: Tensor, crowds: Tensor) -> Tensor:
    """The share of each of n boxes that lies in each of m crowds (COCO's overlap with a crowd): n x m; 0 where a box is empty."""
    overlap = (torch.minimum(found[:, None, 2:], crowds[:, 2:]) - torch.maximum(found[:, None, :2], crowds[:, :2])).clamp(min=0).prod(-1)
    size = (found[:, 2:] - found[:, :2]).clamp(min=0).prod(-1)[:, None]
    return torch.where(size > 0, overlap / size, 0.0)


def match(found: Detections, truth: Detections, iou: float) -> Tensor:
    """Which detections are right: best score first, each takes the free reference of its class that it overlaps most.

    Args:
        found: detections, sorted by score.
        truth: references; each is taken once, a crowd never.
        iou: the least overlap that counts (a detection exactly on it matches).

    Returns:
        n booleans in the order of `found`.
    """
    truth = truth.where(~truth.crowds)
    overlap = box_iou(found.boxes.double(), truth.boxes.double()) * (found.labels[:, None] == truth.labels)
    hits = torch.zeros(len(found), dtype=torch.bool)
    if len(truth):
        for i, row in enumerate(overlap):  # row is a view: a reference taken below is gone for the later rows
            best = int(row.argmax())
            if row[best] >= iou:
                hits[i] = True
                overlap[i + 1 :, best] = -1.0
    return hits


def in_crowd(found: Detections, truth: Detections, iou: float) -> Tensor:
    """Which detections lie in a crowd of their class, by at least that share of themselves: n booleans in the order of `found`."""
    crowds = truth.where(truth.crowds)
    share = crowd_coverage(found.boxes.double(), crowds.boxes.double()) * (found.labels[:, None] == crowds.labels)
    return (share >= iou).any(1)


def count(found: Sequence[Detections], truth: Sequence[Detections], iou: float) -> Tensor:
    """True positives, false positives and false negatives of each picture: N x 3, int64.

    What matches nothing but lies in a crowd is neither.
    """
    rows = []
    for f, t in zip(found, truth, strict=True):
        right = match(f, t, iou)
        hits, ignored = int(right.sum()), int((in_crowd(f, t, iou) & ~right).sum())
        rows.append((hits, len(f) - hits - ignored, int((~t.crowds).sum()) - hits))
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)


def precision_recall_f1(counts: Tensor) -> Tensor:
    """Micro precision, recall and F1 from (..., 3) summed counts, float64; 0/0 is nan."""
    tp, fp, fn = counts.double().unbind(-1)
    return torch.stack((tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)), dim=-1)


def linearise(counts: Tensor) -> Tensor:
    """Three values a picture: their means are the pooled precision, recall and F1 of N x 3 counts, their spreads those over pictures.

    A pooled score is a ratio of sums, R = sum x / sum y; picture i stands for R + (x_i - R y_i) / mean y (the delta method).
    N x 3, float64; 0/0 is nan.
    """
    tp, fp, fn = counts.double().unbind(-1)
    parts = torch.stack((tp, tp, 2 * tp), -1)
    wholes = torch.stack((tp + fp, tp + fn, 2 * tp + fp + fn), -1)
    pooled = parts.sum(0) / wholes.sum(0)
    return pooled + (parts - pooled * wholes) / wholes.mean(0)


def average_precision(found: Sequence[Detections], truth: Sequence[Detections]) -> dict[str, float]:
    """COCO's mAP@[.5:.95], AP50 and AP75 (101 recall points, 100 detections a picture, all sizes) by pycocotools; nan without references.

    Detections in crowds are ignored, as COCO does.
    """
    if all(t.crowds.all() for t in truth):
        return dict.fromkeys(("map", "ap50", "ap75"), float("nan"))
    if not any(len(f) for f in found):
        return dict.fromkeys(("map", "ap50", "ap75"), 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        from pycocotools.cocoeval import COCOeval

        classes = sorted({int(c) for d in (*found, *truth) for c in d.labels})
        evaluation = COCOeval(_coco(truth, classes), _coco(found, classes), "bbox")
        evaluation.params.maxDets = [100]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]  # the three size classes are not reported
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, 0]  # 10 thresholds x 101 recalls x classes; -1 where a class has no reference
    mean = [float(p[p > -1].mean()) for p in (precision, precision[0], precision[5])]
    return dict(zip(("map", "ap50", "ap75"), mean))


def _coco(pictures: Sequence[Detections], classes: Sequence[int]) -> Any:
    """Detections as a COCO data set in memory; a score on a reference does no harm."""
    from pycocotools.coco import COCO

    entries: list[dict[str, Any]] = []
    for image, d in enumerate(pictures):
        corners = d.boxes.double().numpy()
        boxes = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1)  # x y width height
        for box, label, score, crowd in zip(boxes.tolist(), d.labels.tolist(), d.scores.tolist(), d.crowds.int().tolist()):
            entry = {"id": len(entries) + 1, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3]}
            entries.append(entry | {"iscrowd": crowd, "score": score})
    coco = COCO()
    coco.dataset = {"images": [{"id": i} for i in range(len(pictures))], "categories": [{"id": c} for c in classes], "annotations": entries}
    coco.createIndex()
    return coco
