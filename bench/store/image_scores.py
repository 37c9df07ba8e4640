"""Rows of a table side by side in one column: their scores image by image, their means over the images that all share, which are better."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.statistics import paired
from bench.statistics.intervals import Floats, Sets
from bench.store.record import TrialRecord, sampling_error

Trials = Sequence[TrialRecord]  # the finished ones of a row, one a seed
TEST_SET = "test_set"
"""The column of `per_image` that names the test set of an image, in records that are means over several."""


@dataclasses.dataclass(frozen=True)
class ImageScores:
    """The scores of one column image by image.

    Attributes:
        rows: for each row seeds x images, NaN where an image has no score.
        images: their names, in one order for all rows. groups: what each was taken from.
        sets: the test set of each, where records are means over several (see `reports.overview`); else all are of one, without a name.
    """

    rows: list[Floats]
    images: list[str]
    groups: list[str]
    sets: list[str]

    def mean(self, scores: Floats, chosen: NDArray[np.bool_]) -> float:
        """The mean of one trial's scores over the chosen images, at least one: of the test sets' means where there are several."""
        sets = list(itertools.compress(self.sets, chosen))
        return float(Sets.of(sets, sets).mean(scores[chosen]))


def gather(column: str, rows: Sequence[Trials]) -> ImageScores | None:
    """The scores of a column; None where some trial has none of images."""
    frames = [[_scores_by_image(column, r) for r in row] for row in rows]
    if not all(found for row in frames for found in row):
        return None
    images = {image: (group, of_set) for row in frames for found in row for image, (_, group, of_set) in found.items()}
    nothing = (np.nan, "", "")
    stacks = [np.array([[found.get(image, nothing)[0] for image in images] for found in row], np.float64) for row in frames]
    return ImageScores(stacks, list(images), [group for group, _ in images.values()], [of_set for _, of_set in images.values()])


def _scores_by_image(column: str, record: TrialRecord) -> dict[str, tuple[float, str, str]]:
    """Image -> its score, its group and its test set."""
    frame = record.per_image
    mine = frame[frame["column"].to_numpy() == column]
    sets = mine[TEST_SET] if TEST_SET in mine else [""] * len(mine)
    return dict(zip(mine["image"], zip(mine["value"].astype(float), mine["group"], sets, strict=True), strict=True))


def compare(column: str, rows: Sequence[Trials], found: ImageScores | None) -> paired.Comparison:
    """Compare rows by their scores of images where those were gathered, else by one score a seed.

    A single score without images says nothing of how far from it other data would be, even where nothing was trained.
    """
    scores = found.rows if found else [np.array([r.final[column] for r in row]) for row in rows]
    return paired.compare(
        [
            paired.ScoredRow(of_row, [r.seed for r in row], row[0].trained or not found, math.nan if found else error_of(column, row))
            for row, of_row in zip(rows, scores, strict=True)
        ],
        higher_is_better=bool(rows[0][0].cards[column]["higher_is_better"]),
        over="images" if found else "seeds",
        groups=found.groups if found else (),
        sets=found.sets if found else (),
    )


def error_of(column: str, row: Trials) -> float:
    """The standard error of a score over the samples of a row with a single seed; NaN where nobody knows it."""
    return row[0].summary.get(sampling_error(column), math.nan) if len(row) == 1 else math.nan


@dataclasses.dataclass(frozen=True)
class SharedImages:
    """The images of a column that its means are over, where those are not all, and why."""

    images: frozenset[str]
    why: str


def average_over_shared_images(rows: Sequence[Trials]) -> tuple[list[list[TrialRecord]], dict[str, SharedImages]]:
    """The rows with means over the same images, and which those are in each column that lost some.

    A mean over pictures without the infinite ones (identical pictures have PSNR = inf) is not one over the pictures of the other rows. A
    row whose every score is infinite stays infinite; a score that is not the mean of its images (a pooled F1) stays, and one that is NaN.
    """
    finals, kept = {id(r): dict(r.final) for row in rows for r in row}, dict[str, SharedImages]()
    for column in dict.fromkeys(key for row in rows for r in row for key in r.final):
        holders = [held for row in rows if (held := [r for r in row if not math.isnan(r.final.get(column, math.nan))])]
        found = gather(column, holders)
        if found is None or all(np.isfinite(stack).all() for stack in found.rows):
            continue
        shared = paired.shared_images(found.rows)
        for row, stack in zip(holders, found.rows, strict=True):
            for record, scores in zip(row, stack, strict=True):
                own = np.isfinite(scores)
                if not own.any() or np.isclose(found.mean(scores, own), record.final[column], rtol=1e-5, atol=1e-9):
                    finals[id(record)][column] = found.mean(scores, shared)
        culprits = ", ".join(row[0].label for row, stack in zip(holders, found.rows, strict=True) if not np.isfinite(stack).all())
        why = f"means over {shared.sum()} of {len(shared)} images: the others have no finite score in {culprits}"
        why = f"no image has a finite score in {culprits}" if shared.all() else why
        kept[column] = SharedImages(frozenset(image for image, is_shared in zip(found.images, shared, strict=True) if is_shared), why)
    return [[dataclasses.replace(r, final=finals[id(r)]) for r in row] for row in rows], kept
