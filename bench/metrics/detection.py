"""Do detectors see better after restoration? The DeblurGAN question (Kupyn et al., CVPR 2018, Sec. 5.4), with the protocol written down."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from typing_extensions import override

from bench import registry
from bench.detector import Detections, Detector
from bench.errors import UsageError
from bench.metric import MetricColumn
from bench.metrics._boxes import BoxMetric
from bench.metrics._columns import share
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection(BoxMetric):
    """Precision, recall, F1 and average precision of a fixed detector, and what restoration gains over the blurred input.

    The references are annotations, or (`pseudo`, the paper's way) what the detector finds on the sharp picture with at least `confidence`.
    """

    definition: ClassVar[str] = (
        "F1 of a detector's boxes (micro over pictures; greedy one-to-one matching by score within a class) against the references; "
        "COCO average precision beside it. After Kupyn et al., DeblurGAN, CVPR 2018, which states no thresholds"
    )
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        **BoxMetric.columns,
        "gain": share("F1 minus the F1 on the blurred scenes", bounds=(-1.0, 1.0)),
        "recovered": share("the part of the F1 lost to blur that was won back", bounds=(-math.inf, math.inf)),
    }

    detector: str = param("digit_yolo", "what looks for objects (`runner.py list`: detector)")
    reference: Literal["annotation", "pseudo"] = param(
        "annotation", "what should be found: the annotated objects, or what the detector finds on the sharp picture"
    )

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Gain:
        """What restoration gained: `delta_f1`, F1 over that of the blurred input, and `recovered`, the part of the loss made up."""

        delta_f1: float
        recovered: float

    @override
    def score(self, predictions: Sequence[Detections], references: Sequence[Detections]) -> BoxMetric.Score:
        """See the base class; what the detector finds on the sharp pictures is the truth where `reference` is "pseudo"."""
        if self.reference == "pseudo":
            references = [r.above(self.confidence) for r in references]
        return super().score(predictions, references)

    def gain(self, restored: BoxMetric.Score, blurred: BoxMetric.Score, sharp: BoxMetric.Score) -> Detection.Gain:
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

    @override
    def protocol(self) -> dict[str, Any]:
        """And the detector by content."""
        return {"detector": self.make_detector().protocol(), **super().protocol()}

    @override
    def require(self) -> None:
        self.make_detector().require()
