"""Does a detector see better after restoration? Every method gets the same scenes; the blurred and sharp ones are judged once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.cards import Card
from bench.dataset import Picture
from bench.detector import Detections
from bench.errors import UsageError
from bench.evaluation import EvaluationSet
from bench.method import Method
from bench.metrics.detection import Detection
from bench.operators.box_matching import linearise
from bench.task import Scores


class DetectionEvaluation:
    """Scenes with known objects, a detector and the metric that compares."""

    def __init__(self, metric: Any, classes: Sequence[str], scenes: Callable[[], EvaluationSet], device: torch.device) -> None:
        if not isinstance(metric, Detection):
            raise UsageError(f"{metric} is not the metric detection[...]")
        self.metric, self._make_scenes, self.device = metric, scenes, device
        self.detector = metric.make_detector()
        if list(self.detector.classes) != list(classes):
            raise UsageError(
                f"the detector {metric.detector} knows other classes than the scenes: {len(self.detector.classes)} and {len(classes)}",
            )

    def __len__(self) -> int:
        return len(self.scenes)

    @functools.cached_property
    def scenes(self) -> EvaluationSet:
        """The degraded scenes with their truth."""
        return self._make_scenes()

    def cards(self) -> dict[str, Card]:
        """Column -> what is measured."""
        return self.metric.cards()

    def score(self, method: Method, progress: Callable[[int], None]) -> Scores:
        """Detect in the restored scenes and compare with the blurred and the sharp ones; all nan where a restored scene is not finite."""
        detections, finite = list[Detections](), list[Tensor]()
        for _, x_hat in self.scenes.restore(method, progress):
            finite.append(x_hat.isfinite().flatten(1).all(1).cpu())
            detections += self.detector(x_hat.nan_to_num())
        restored, blurred, sharp = self.metric.score(detections, self._references), self._observed_score, self._target_score
        gain = self.metric.gain(restored, blurred, sharp)
        values = {c: getattr(restored, c) for c in ("precision", "recall", "f1", "ap50", "map")} | {
            "gain": gain.delta_f1,
            "recovered": gain.recovered,
        }
        is_finite = torch.cat(finite)
        if not is_finite.all():
            values = dict.fromkeys(values, math.nan)  # over pictures of which one is none
        summary = {"blurred/f1": blurred.f1, "sharp/f1": sharp.f1, "blurred/ap50": blurred.ap50, "sharp/ap50": sharp.ap50}
        return Scores(values, self._per_image(restored, blurred, is_finite), summary, self.scenes.groups)

    def _per_image(
        self, restored: Detection.Score, blurred: Detection.Score, is_finite: Tensor
    ) -> dict[str, tuple[list[str], list[float]]]:
        """What each scene contributes to the pooled scores; columns that are 0/0 have none."""
        of_scenes = torch.where(is_finite[:, None], linearise(restored.counts), math.nan)
        columns = dict(zip(("precision", "recall", "f1"), of_scenes.unbind(1), strict=True))
        columns["gain"] = columns["f1"] - linearise(blurred.counts)[:, 2]
        return {column: (self.scenes.names, scores.tolist()) for column, scores in columns.items() if not scores.isnan().all()}

    @functools.cached_property
    def _references(self) -> list[Detections]:
        if self.metric.reference == "pseudo":
            return self._detections_in_target
        return [_annotations(picture) for picture in self.scenes.pictures]

    @functools.cached_property
    def _detections_in_target(self) -> list[Detections]:
        return self._detect(batch.target for batch in self.scenes.batches)

    @functools.cached_property
    def _target_score(self) -> Detection.Score:
        return self.metric.score(self._detections_in_target, self._references)

    @functools.cached_property
    def _observed_score(self) -> Detection.Score:
        return self.metric.score(self._detect(batch.observed for batch in self.scenes.batches), self._references)

    def _detect(self, batches: Iterator[Tensor | None]) -> list[Detections]:
        return [d for images in batches if images is not None for d in self.detector(images)]


def _annotations(picture: Picture) -> Detections:
    if picture.boxes is None or picture.labels is None:
        raise UsageError(f"the scene {picture.name} has no annotated boxes: use a detection set, or detection[reference=pseudo]")
    if picture.crowds is None or picture.crowd_labels is None:
        return Detections.from_annotations(picture.boxes, picture.labels)
    crowds = torch.arange(len(picture.labels) + len(picture.crowds)) >= len(picture.labels)
    return Detections.from_annotations(
        torch.cat([picture.boxes, picture.crowds]), torch.cat([picture.labels, picture.crowd_labels]), crowds
    )
