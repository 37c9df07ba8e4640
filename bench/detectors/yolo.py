"""Any detection checkpoint of ultralytics: `yolo[weights=/absolute/path/to/yolo11n.pt]`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from bench.detector import hash_file, weights_file
from bench.detectors import _ultralytics
from bench.errors import UsageError
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class Yolo(_ultralytics.UltralyticsDetector):
    """A checkpoint by absolute path, read with `weights_only`; ultralytics' pretrained ones know the 80 classes of COCO."""

    weights: str = param("", "absolute path of a checkpoint that ultralytics wrote")

    @property
    @override
    def classes(self) -> Sequence[str]:
        """The names that stand in the checkpoint, a list or a mapping from their numbers.

        Raises:
            UsageError: they are not numbered from 0.
        """
        names = self.model.names
        numbered = dict(names) if isinstance(names, dict) else dict(enumerate(names))
        if sorted(numbered) != list(range(len(numbered))):
            raise UsageError(f"the classes of {self.weights} are not numbered from 0 to {len(numbered) - 1}: save it with `names` that are")
        return tuple(str(numbered[i]) for i in range(len(numbered)))

    @functools.cached_property
    @override
    def model(self) -> Any:
        """The network of the checkpoint (the averaged one where there is one)."""
        return _ultralytics.load(weights_file(self.weights, "yolo"))

    @override
    def fingerprint(self) -> str:
        return hash_file(weights_file(self.weights, "yolo"))

    @override
    def require(self) -> None:
        weights_file(self.weights, "yolo")
