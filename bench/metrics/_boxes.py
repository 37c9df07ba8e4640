"""What scores of boxes share: matching at a confidence, average precision, a card for each number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from bench.cards import Card
from bench.detector import Detections
from bench.errors import UsageError
from bench.metric import Metric, MetricColumn
from bench.metrics._columns import cards_of, share
from bench.operators import box_matching
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxMetric(Metric):
    """Precision, recall and F1 at a confidence, and average precision, of boxes beside references."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "precision": share("precision at the stated confidence"),
        "recall": share("recall at the stated confidence"),
        "f1": share("F1 at the stated confidence", title="F1"),
        "ap50": share("average precision at IoU .5", title="AP50"),
        "map": share("mean average precision at IoU .5 to .95", title="mAP"),
    }

    iou: float = param(0.5, "intersection over union from which a box counts as found")
    confidence: float = param(0.25, "least score of a box that counts in precision, recall and F1")

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Score:
        """One set of pictures. `counts`: N x 3, int64: true positives, false positives, false negatives at `confidence`. 0/0 is nan."""

        precision: float
        recall: float
        f1: float
        map: float
        ap50: float
        ap75: float
        counts: Tensor = dataclasses.field(repr=False)

    def score(self, predictions: Sequence[Detections], references: Sequence[Detections]) -> BoxMetric.Score:
        """Score detections.

        Args:
            predictions: the detector's output on each picture, low scores included.
            references: annotations (`Detections.from_annotations`), or other detections that count as the truth.

        Raises:
            UsageError: the two differ in length.
        """
        if len(predictions) != len(references):
            raise UsageError(f"{len(predictions)} predictions for {len(references)} references: one of each a picture")
        counts = box_matching.count([p.above(self.confidence) for p in predictions], references, self.iou)
        precision, recall, f1 = box_matching.precision_recall_f1(counts.sum(0)).tolist()
        return self.Score(
            precision=precision, recall=recall, f1=f1, counts=counts, **box_matching.average_precision(predictions, references)
        )

    def cards(self) -> dict[str, Card]:
        """Column -> card: the same protocol for all, each with its own meaning."""
        return cards_of(self, self.columns)

    @override
    def protocol(self) -> dict[str, Any]:
        """What crowds are, and the library that integrates the precision-recall curves."""
        return {
            "average_precision": "COCO 101 points, 100 detections",
            "crowds": "detections that lie in a crowd and match nothing are ignored",
            "pycocotools": version("pycocotools"),
        }
