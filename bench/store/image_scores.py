"""Rows of a table side by side in one column: their scores image by image, their means over the images that all share, which are better."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bench.statistics import paired
from bench.statistics.intervals import Floats
from bench.store.record import TrialRecord, sampling_error

Trials = Sequence[TrialRecord]  # the finished ones of a row, one a seed


@dataclasses.dataclass(frozen=True)
class ImageScores:
    """One column: for each row its scores (seeds x images, NaN where an image has none), the images in one order, and their groups."""

    rows: list[Floats]
    images: list[str]
    groups: list[str]


def gather(column: str, rows: Sequence[Trials]) -> ImageScores | None:
    """The scores of a column; None where some trial has none of images."""
    frames = [[_of(column, r) for r in row] for row in rows]
    if not all(found for row in frames for found in row):
        return None
    groups = {image: group for row in frames for found in row for image, (_, group) in found.items()}
    stacks = [np.array([[found[image][0] if image in found else np.nan for image in groups] for found in row], np.float64) for row in frames]
    return ImageScores(stacks, list(groups), list(groups.values()))


def _of(column: str, record: TrialRecord) -> dict[str, tuple[float, str]]:
    """Image -> its score and its group."""
    frame = record.per_image
    mine = frame[frame["column"].to_numpy() == column]
    return dict(zip(mine["image"], zip(mine["value"].astype(float), mine["group"], strict=True), strict=True))


def compare(column: str, rows: Sequence[Trials], found: ImageScores | None) -> paired.Comparison:
    """Compare rows by their scores of images where those were gathered, else by one score a seed."""
    scores = found.rows if found else [np.array([r.final[column] for r in row]) for row in rows]
    return paired.compare(
        [
            paired.ScoredRow(of_row, [r.seed for r in row], row[0].trained, math.nan if found else error_of(column, row))
            for row, of_row in zip(rows, scores, strict=True)
        ],
        higher_is_better=bool(rows[0][0].cards[column]["higher_is_better"]),
        over="images" if found else "seeds",
        groups=found.groups if found else (),
    )


def error_of(column: str, row: Trials) -> float:
    """The standard error of a score over the samples of a row with a single seed; NaN where nobody knows it."""
    return row[0].summary.get(sampling_error(column), math.nan) if len(row) == 1 else math.nan


@dataclasses.dataclass(frozen=True)
class Kept:
    """The images of a column that its means are over, where those are not all, and why."""

    images: frozenset[str]
    why: str


def on_shared_images(rows: Sequence[Trials]) -> tuple[list[list[TrialRecord]], dict[str, Kept]]:
    """The rows with means over the same images, and which those are in each column that lost some.

    A mean over pictures without the infinite ones (identical pictures have PSNR = inf) is not one over the pictures of the other rows. A row
    whose every score is infinite stays infinite; a score that is not the mean of its images (a pooled F1) stays as it is, and one that is NaN.
    """
    finals, kept = {id(r): dict(r.final) for row in rows for r in row}, dict[str, Kept]()
    for column in dict.fromkeys(key for row in rows for r in row for key in r.final):
        holders = [held for row in rows if (held := [r for r in row if not math.isnan(r.final.get(column, math.nan))])]
        found = gather(column, holders)
        if found is None or all(np.isfinite(stack).all() for stack in found.rows):
            continue
        shared = paired.shared_images(found.rows)
        for row, stack in zip(holders, found.rows, strict=True):
            for record, scores in zip(row, stack, strict=True):
                own = scores[np.isfinite(scores)]
                if not len(own) or np.isclose(own.mean(), record.final[column], rtol=1e-5, atol=1e-9):
                    finals[id(record)][column] = float(scores[shared].mean())
        culprits = ", ".join(row[0].label for row, stack in zip(holders, found.rows, strict=True) if not np.isfinite(stack).all())
        why = f"means over {shared.sum()} of {len(shared)} images: the others have no finite score in {culprits}"
        kept[column] = Kept(frozenset(image for image, is_shared in zip(found.images, shared, strict=True) if is_shared), why)
    return [[dataclasses.replace(r, final=finals[id(r)]) for r in row] for row in rows], kept
