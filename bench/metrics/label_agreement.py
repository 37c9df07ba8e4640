"""Label maps beside true ones. Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015, Sec. 5."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from bench.cards import Card
from bench.errors import UsageError
from bench.metric import Metric, MetricColumn
from bench.metrics import _confusion
from bench.metrics._columns import cards_of, share
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelAgreement(Metric):
    """Pixel accuracy, class accuracy and intersection over union of labels, counted over a whole set.

    A pixel whose truth is `ignore` counts nowhere; one that counts and is labelled `ignore` is wrong.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = (
        "over the pixels of a whole set whose truth counts; classes that the truth (for the union: either side) does not show are left "
        "out of means (Long et al. 2015, Sec. 5)"
    )
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "pixel_accuracy": share("share of pixels that are labelled as the truth says", "pixel acc."),
        "class_accuracy": share("mean over classes of the share of their pixels that are labelled so", "class acc."),
        "iou": share("mean over classes of intersection over union", "mIoU"),
    }

    classes: int = param(0, "how many there are, 0 to classes - 1; 0: as many as the truth shows")
    ignore: int = param(255, "label of pixels that do not count; -1: all count")

    def __post_init__(self) -> None:
        if self.classes < 0:
            raise ValueError(f"classes must be >= 0, not {self.classes}")

    def tally(self, labels: Tensor, truth: Tensor) -> Tensor:
        """Count the pixels of a picture.

        Args:
            labels: the given ones, H x W, int64.
            truth: same shape.

        Returns:
            2 x (1 + 2 K), float64, which add up over a set: what agrees, and of how much, over all pixels, in each class, in its union.

        Raises:
            UsageError: the sizes differ, or a label is beyond the classes.
        """
        if labels.shape != truth.shape:
            sizes = " and ".join(f"{m.shape[-1]} x {m.shape[-2]}" for m in (labels, truth))
            raise UsageError(f"label maps of {sizes} pixels cannot be compared: make them one size")
        counts = truth != self.ignore
        true, read = truth[counts], labels[counts]
        skipped = read == self.ignore
        for what, found in (("true", true), ("given", read[~skipped])):
            if len(beyond := found[(found < 0) | (found >= self.classes)]):
                raise UsageError(f"a {what} label is {int(beyond[0])}: there are {self.classes} classes, 0 to {self.classes - 1}")
        counted = _confusion.count(true, torch.where(skipped, self.classes, read), self.classes, self.classes + 1)
        return _confusion.tally(counted)

    def score(self, tallied: Tensor) -> dict[str, float]:
        """Column -> number of what `tally` counted, added up over a set; nan where nothing was."""
        return dict(zip(self.columns, _confusion.shares(tallied).tolist(), strict=True))

    def per_picture(self, tallies: Tensor) -> dict[str, Tensor]:
        """Column -> what each of N pictures contributes: values whose mean is the score of all together; N, float64."""
        return dict(zip(self.columns, _confusion.shares_of_pictures(tallies).unbind(1), strict=True))

    def class_iou(self, tallied: Tensor) -> Tensor:
        """Intersection over union of each class: K, nan where neither side shows it."""
        return (tallied[0] / tallied[1])[1 + self.classes :]

    def cards(self) -> dict[str, Card]:
        """Column -> card: the same protocol for all, each with its own meaning."""
        return cards_of(self, self.columns)
