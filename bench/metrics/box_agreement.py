"""Boxes of any detector beside annotated ones. Lin et al., "Microsoft COCO", ECCV 2014."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from bench.metrics._boxes import BoxMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxAgreement(BoxMetric):
    """Precision, recall, F1 and average precision of boxes that came from files: whatever detector made them is not known here."""

    definition: ClassVar[str] = (
        "F1 of boxes (micro over pictures; greedy one-to-one matching by score within a class) against annotations; COCO average "
        "precision (Lin et al. 2014) beside it"
    )
