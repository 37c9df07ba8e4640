"""Any detection checkpoint of ultralytics: `yolo[weights=/absolute/path/to/yolo11n.pt]`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from bench.detector import hash_file, weights_file
from bench.detectors import _ultralytics


@dataclasses.dataclass(frozen=True, kw_only=True)
class Yolo(_ultralytics.UltralyticsDetector):
    """A checkpoint by absolute path, read with `weights_only`; ultralytics' pretrained ones know the 80 classes of COCO."""

    weights: str = ""

    @property
    def classes(self) -> Sequence[str]:
        """The names that stand in the checkpoint."""
        names = self.model.names
        return tuple(names[i] for i in range(len(names)))

    @functools.cached_property
    def model(self) -> Any:
        """The network of the checkpoint (the averaged one where there is one)."""
        return _ultralytics.load(weights_file(self.weights, "yolo"))

    def fingerprint(self) -> str:
        """Hash of the checkpoint."""
        return hash_file(weights_file(self.weights, "yolo"))

    def require(self) -> None:
        """The checkpoint."""
        weights_file(self.weights, "yolo")
