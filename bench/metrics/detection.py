"""Do detectors see better after restoration? The DeblurGAN question (Kupyn et al., CVPR 2018, Sec. 5.4), with the protocol written down."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.cards import Card
from bench.detector import Detections, Detector
from bench.errors import UsageError
from bench.metric import Metric, MetricColumn
from bench.operators import box_matching
from bench.spec import param


def _share(definition: str, title: str = "", bounds: tuple[float, float] = (0.0, 1.0)) -> MetricColumn:
    return MetricColumn(higher_is_better=True, unit="", definition=definition, title=title, bounds=bounds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection(Metric):
    """Precision, recall, F1 and average precision of a fixed detector, and what restoration gains over the blurred input.

    The references are annotations, or (`pseudo`, the paper's way) what the detector finds on the sharp picture with at least `confidence`.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "F1 of a detector's boxes (micro over pictures; greedy one-to-one matching by score within a class) against the references; "
        "COCO average precision beside it. After Kupyn et al., DeblurGAN, CVPR 2018, which states no thresholds"
    )
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "precision": _share("precision at the stated confidence"),
        "recall": _share("recall at the stated confidence"),
        "f1": _share("F1 at the stated confidence", title="F1"),
        "ap50": _share("average precision at IoU .5", title="AP50"),
        "map": _share("mean average precision at IoU .5 to .95", title="mAP"),
        "gain": _share("F1 minus the F1 on the blurred scenes", bounds=(-1.0, 1.0)),
        "recovered": _share("the part of the F1 lost to blur that was won back", bounds=(-math.inf, math.inf)),
    }

    detector: str = param("digit_yolo", "what looks for objects (`runner.py list`: detector)")
    iou: float = param(0.5, "intersection over union from which a box counts as found")
    confidence: float = param(0.25, "least score of a box that counts in precision, recall and F1")
    reference: Literal["annotation", "pseudo"] = param(
        "annotation", "what should be found: the annotated objects, or what the detector finds on the sharp picture"
    )

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

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Gain:
        """What restoration gained: `delta_f1`, F1 over that of the blurred input, and `recovered`, the part of the loss made up."""

        delta_f1: float
        recovered: float

    def score(self, predictions: Sequence[Detections], references: Sequence[Detections]) -> Detection.Score:
        """Score detections.

        Args:
            predictions: the detector's output on each picture, low scores included.
            references: annotations (`Detections.from_annotations`), or the detector's output on the sharp pictures where `reference` is
                "pseudo".

        Raises:
            UsageError: the two differ in length.
        """
        if len(predictions) != len(references):
            raise UsageError(f"{len(predictions)} predictions for {len(references)} references: one of each a picture")
        if self.reference == "pseudo":
            references = [r.above(self.confidence) for r in references]
        counts = box_matching.count([p.above(self.confidence) for p in predictions], references, self.iou)
        precision, recall, f1 = box_matching.precision_recall_f1(counts.sum(0)).tolist()
        return self.Score(
            precision=precision, recall=recall, f1=f1, counts=counts, **box_matching.average_precision(predictions, references)
        )

    def gain(self, restored: Score, blurred: Score, sharp: Score) -> Detection.Gain:
        """How much more is detected after restoration, on the same pictures.

        `recovered` is (F1 restored - F1 blurred) / (F1 sharp - F1 blurred), nan where blur costs less than 0.02.

        Raises:
            UsageError: the scores are over different numbers of pictures.
        """
        if not len(restored.counts) == len(blurred.counts) == len(sharp.counts):
            raise UsageError(f"scores of {len(restored.counts)}, {len(blurred.counts)} and {len(sharp.counts)} pictures cannot be compared")
        delta, lost = restored.f1 - blurred.f1, sharp.f1 - blurred.f1
        return self.Gain(delta_f1=delta, recovered=delta / lost if abs(lost) >= 0.02 else float("nan"))

    def make_detector(self) -> Detector:
        """The detector that the spec names."""
        made: Any = registry.make("detector", self.detector)
        if not isinstance(made, Detector):
            raise UsageError(f"{self.detector} is no bench.detector.Detector")
        return made

    def cards(self) -> dict[str, Card]:
        """Column -> card: the same protocol for all, each with its own meaning."""
        shared = self.card()
        return {
            name: dataclasses.replace(
                shared,
                metric=f"detection:{name}",
                definition=f"{column.definition}. {shared.definition}",
                bounds=column.bounds,
                title=column.title,
            )
            for name, column in self.columns.items()
        }

    @override
    def protocol(self) -> dict[str, Any]:
        """The detector by content, and the library that integrates the precision-recall curves."""
        return {
            "detector": self.make_detector().protocol(),
            "average_precision": "COCO 101 points, 100 detections",
            "crowds": "detections that lie in a crowd and match nothing are ignored",
            "pycocotools": version("pycocotools"),
        }

    @override
    def require(self) -> None:
        self.make_detector().require()
