"""FCN-score: does a segmenter read in a generated picture what its labels say? Isola et al., pix2pix, CVPR 2017, Sec. 3.2 and 4."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.detector import Segmenter
from bench.errors import UsageError
from bench.metric import Metric
from bench.metrics import _confusion
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class FCNScore(Metric):
    """Pixel accuracy, class accuracy and intersection over union of labels, counted over a whole set (Long et al., CVPR 2015, Sec. 5).

    labels -> photo (the paper's Table 1): `segmenter` a network that reads photographs, `read` "observed".
    photo -> labels (Table 5): both segmenters read pictures of labels, `read` "target".
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "share of pixels, mean over classes of the share of their pixels, and mean over classes of intersection over union, that a "
        "segmenter labels in the generated picture as the truth says; classes that the truth (for the union: either side) does not show "
        "are left out (Isola et al. 2017, Sec. 4)"
    )
    columns: ClassVar[tuple[str, ...]] = ("pixel_accuracy", "class_accuracy", "iou")

    segmenter: str = param("palette", "what reads the labels in a picture that a method made (`runner.py list`: segmenter)")
    truth: str = param("palette", "what reads them in the picture of the true labels")
    read: Literal["target", "observed"] = param("target", "the side of a pair that holds the labels")

    def confusion(self, made: Tensor, labels: Tensor) -> Tensor:
        """Count pixels by true and by read class.

        Args:
            made: generated pictures, N x 3 x H x W, [0, 1].
            labels: pictures of the labels, same shape.

        Returns:
            K x K, float64, on the device of `made`: [i, j] counts pixels of class i that were read as j; add these up over a set. All nan
            where a picture is not finite: a segmenter would read something in it.
        """
        k = self.reader(self.truth).classes
        if not made.isfinite().all():
            return made.new_full((k, k), math.nan, dtype=torch.float64)
        predicted, true = self.reader(self.segmenter)(made), self.reader(self.truth)(labels)
        counts = (predicted >= 0) & (true >= 0)
        return _confusion.count(true[counts], predicted[counts], k, k)

    def score(self, confusion: Tensor) -> dict[str, float]:
        """The three numbers of a K x K count; nan where nothing was counted."""
        return dict(zip(self.columns, _confusion.shares(_confusion.tally(confusion.double())).tolist(), strict=True))

    @override
    def protocol(self) -> dict[str, Any]:
        return {"segmenter": self.reader(self.segmenter).protocol(), "truth": self.reader(self.truth).protocol()}

    @override
    def require(self) -> None:
        """What the segmenters require, and that their classes are as many.

        Raises:
            UsageError: they are not.
        """
        made, true = self.reader(self.segmenter), self.reader(self.truth)
        made.require()
        true.require()
        if made.classes != true.classes:
            raise UsageError(
                f"fcn_score: {self.segmenter} knows {made.classes} classes, {self.truth} {true.classes}; they must be the same"
            )

    @staticmethod
    @functools.lru_cache(maxsize=4)
    def reader(spec: str) -> Segmenter:
        """The segmenter that a spec names."""
        made: Any = registry.make("segmenter", spec)
        if not isinstance(made, Segmenter):
            raise UsageError(f"{spec} is no bench.detector.Segmenter")
        return made
