"""Boxes that a detector found elsewhere, beside annotated ones: nothing is trained, `outputs[path=...]` brings what is judged."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.cards import Card
from bench.detector import Detections
from bench.errors import UsageError
from bench.method import Method, param
from bench.metrics.box_agreement import BoxAgreement
from bench.operators.box_matching import linearise
from bench.task import Scores
from bench.tasks._elsewhere import JudgedElsewhere
from bench.tasks._metrics import few
from datasets.reading.boxes import BoxTruth, open_found, read_truth


@dataclasses.dataclass(kw_only=True, eq=False)
class Boxes(JudgedElsewhere):
    """Compare boxes in a COCO results file, or in YOLO's text files, with annotations in either form.

    The pictures are those of the truth: one of which the results say nothing has no boxes. Boxes are compared as they are, not clipped.
    """

    judging_options: ClassVar[frozenset[str]] = frozenset({"metric"})

    truth: str = param("", "COCO annotations (a json file), or a folder with YOLO's labels/ and the names of the classes in a yaml file")
    images: str = param("", "folder of the pictures that YOLO's labels are about; empty: images/ in that folder")
    metric: str = param("box_agreement", "what compares: its options are the least overlap and the confidence")

    # -- what decides a result
    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", self.metric)]

    @override
    def fingerprint(self) -> dict[str, str]:
        return {"truth/test": self._truth.fingerprint}

    @override
    def cards(self) -> dict[str, Card]:
        return self._metric.cards()

    @override
    def ranked_by(self) -> Card:
        return self.cards()["map"]

    @override
    def notes(self) -> dict[str, str]:
        """Whether there are too few objects to tell small differences."""
        return few(sum(int((~t.crowds).sum()) for t in self._references), "annotated objects", "precision and recall")

    # -- judging
    def open_outputs(self, folder: Path, match: str) -> Callable[[str], Tensor]:
        """Boxes by the name of a picture: n x 6 (see `datasets.reading.boxes.open_found`)."""
        return open_found(folder, match, self._truth)

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Precision, recall and F1 at the confidence, and average precision, over all pictures together."""
        names, found = list(self._truth.objects), list[Detections]()
        for done, name in enumerate(names, start=1):
            rows = self._ask(method, name)
            if rows.dim() != 2 or rows.shape[1] != 6:
                raise UsageError("the task boxes judges boxes from files: give outputs[path=...] as the method")
            found.append(Detections(rows[:, :4], rows[:, 4].long(), rows[:, 5]))
            progress(done, len(names))
        score = self._metric.score(found, self._references)
        columns = zip(("precision", "recall", "f1"), linearise(score.counts).unbind(1), strict=True)
        per_image = {column: (names, values.tolist()) for column, values in columns if not values.isnan().all()}
        return Scores({column: getattr(score, column) for column in self._metric.columns}, per_image, self._remarks(found))

    def _remarks(self, found: list[Detections]) -> dict[str, float]:
        """How much there was to compare."""
        return {
            "pictures": float(len(found)),
            "without_boxes": float(sum(not len(f) for f in found)),
            "boxes": float(sum(map(len, found))),
            "objects": float(sum(int((~t.crowds).sum()) for t in self._references)),
        }

    # -- data, read when first needed
    @functools.cached_property
    def _truth(self) -> BoxTruth:
        if not self.truth:
            raise UsageError("the task boxes needs the annotated ones: give truth=FILE.json or FOLDER")
        return read_truth(Path(self.truth).expanduser(), Path(self.images).expanduser() if self.images else None)

    @functools.cached_property
    def _references(self) -> list[Detections]:
        return [Detections.from_annotations(b[:, :4], b[:, 4].long(), b[:, 5] > 0) for b in self._truth.objects.values()]

    @functools.cached_property
    def _metric(self) -> BoxAgreement:
        metric = registry.make("metric", self.metric)
        if not isinstance(metric, BoxAgreement):
            raise UsageError(f"metric {self.metric} does not judge boxes: give box_agreement[confidence=...,iou=...]")
        return metric
