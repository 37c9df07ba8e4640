"""Scores without a suite and without a record: a metric, a pair of folders, two arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench import registry
from bench.cards import Card
from bench.errors import Unavailable, UnusableOutput, UsageError
from bench.inference.arrays import Pictures, to_batch
from bench.judging.profiles import EVERY, require_size, specs_of
from bench.metric import ImageMetric
from bench.spec import Spec
from bench.training.build import open_task
from datasets.reading.matching import match_pictures


@dataclasses.dataclass(frozen=True)
class Scored:
    """Scores of restored pictures.

    Attributes:
        means: column -> mean over the pictures.
        per_image: a line a picture, a column a score.
        cards: column -> how it is computed.
        notes: what could not be computed or was left out, and why.
    """

    means: dict[str, float]
    per_image: pd.DataFrame
    cards: dict[str, Card]
    notes: dict[str, str]

    def _repr_html_(self) -> str:
        return str(self.per_image.describe().to_html())


@dataclasses.dataclass(frozen=True)
class Metric:
    """A full-reference metric of pictures. `card` says how the number is computed.

    Attributes:
        spec: as given. card: its protocol. metric: what computes it.
    """

    spec: str
    card: Card
    metric: ImageMetric

    def __call__(self, x_hat: Pictures, x: Pictures) -> NDArray[np.float64]:
        """One value a picture, float64. Raises UsageError where shapes differ or are too small."""
        a, b = to_batch(x_hat), to_batch(x)
        if a.shape != b.shape:
            raise UsageError(f"{self.spec} compares pictures of one shape, not {tuple(a.shape)} and {tuple(b.shape)} (N x C x H x W)")
        values: NDArray[np.float64] = self.metric(a, b).numpy()
        return values


def make_metric(spec: str) -> Metric:
    """A metric by its spec, such as "psnr" or "ssim[border=4,channel=y601]" (see `runner.py list`).

    Raises:
        UsageError: no such metric or option, or it does not compare pictures.
        Unavailable: it needs weights that are not here.
    """
    made = registry.make("metric", spec)
    if not isinstance(made, ImageMetric):
        raise UsageError(f"metric {spec} does not compare pictures")
    made.require()
    return Metric(spec, made.card(), made)


def score_pictures(restored: Pictures, truth: Pictures, metrics: tuple[str, ...], profile: str) -> Scored:
    """Score pictures beside others. See `ganbench.score`."""
    columns, notes = {column: make_metric(spec) for column, spec in specs_of(metrics, profile).items()}, dict[str, str]()
    for column, of in list(columns.items()) if profile == EVERY else []:
        try:
            require_size(of.metric, to_batch(truth)[:1])
        except Unavailable as error:
            del columns[column]
            notes[f"unavailable.{column}"] = str(error)
    values = {column: of(restored, truth) for column, of in columns.items()}
    return _scored(values, {column: of.card for column, of in columns.items()}, notes=notes)


def score_files(restored: Path, truth: Path, metrics: tuple[str, ...], profile: str, match: str) -> Scored:
    """Score a folder or file beside another. See `ganbench.score`."""
    if not restored.exists():
        raise UsageError(f"{restored} does not exist: give the folder or file of the restored pictures")
    match_pictures([restored], truth, match, allow_missing=False)
    task = open_task(str(Spec("pictures", {"truth": str(truth), "metrics": metrics, "profile": profile})), None, torch.device("cpu"))
    method = registry.find("method", "outputs")(task, path=str(restored), match=match)
    try:
        found = task.score(method, lambda done, total: None)
    except UnusableOutput as error:
        raise UsageError(str(error)) from error
    names = next(iter(found.per_image.values()))[0]
    return _scored({column: values for column, (_, values) in found.per_image.items()}, task.cards(), names, task.notes())


def _mean(values: NDArray[np.float64]) -> float:
    """Over those that are not infinite, as on a leaderboard; infinite where all are (pictures without any error)."""
    finite = values[~np.isinf(values)]
    return float(finite.mean()) if len(finite) else float("inf")


def _scored(values: dict[str, Any], cards: dict[str, Card], names: Sequence[str] = (), notes: dict[str, str] | None = None) -> Scored:
    frame = pd.DataFrame(values, index=pd.Index(names, name="image") if names else None)
    means = {column: _mean(frame[column].to_numpy()) for column in frame}
    return Scored(means, frame, cards, notes or {})
