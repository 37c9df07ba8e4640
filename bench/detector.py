"""What a detector is: pictures in, boxes out, with a fingerprint of the weights that decide them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import Unavailable, UsageError


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """The objects of one picture, best first, on the CPU; annotations are detections of score 1.

    `boxes`: n x 4, x0 y0 x1 y1 in pixels, float32; `labels`: n, int64, indices into the detector's classes; `scores`: n, float32 in [0, 1];
    `crowds`: n, bool, of annotations those that mark many objects at once: none need be found, and what is found there is not wrong. None:
    none is.

    Raises:
        UsageError: the lengths differ or the boxes are not n x 4.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    crowds: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.crowds is None:
            object.__setattr__(self, "crowds", torch.zeros(n, dtype=torch.bool))
        if self.boxes.shape != (n, 4) or any(t.shape != (n,) for t in (self.labels, self.scores, self.crowds)):
            shapes = [tuple(t.shape) for t in (self.boxes, self.labels, self.scores)]
            raise UsageError(f"detections need n x 4 boxes, n labels and n scores, not {shapes}")
        order = self.scores.detach().cpu().argsort(descending=True, stable=True)
        for name, dtype in (("boxes", torch.float32), ("labels", torch.int64), ("scores", torch.float32), ("crowds", torch.bool)):
            object.__setattr__(self, name, getattr(self, name).detach().to("cpu", dtype)[order])

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, confidence: float) -> Detections:
        """The detections with a score of at least `confidence`."""
        return self.where(self.scores >= confidence)

    def where(self, keep: Tensor) -> Detections:
        """The detections where `keep`, n booleans, is true."""
        return Detections(self.boxes[keep], self.labels[keep], self.scores[keep], self.crowds[keep])

    @classmethod
    def from_annotations(cls, boxes: Tensor, labels: Tensor, crowds: Tensor | None = None) -> Detections:
        """Annotated objects (`datasets.Picture.boxes`, `.labels`, `.crowds`) as references."""
        return cls(boxes.reshape(-1, 4), labels, torch.ones(len(labels)), crowds)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detector:
    """Base of every detector. Options are dataclass fields; a field `weights` is a path and enters the card as a hash only."""

    @property
    def classes(self) -> Sequence[str]:
        """The class names, in the order of the labels 0, 1, ..."""
        raise NotImplementedError

    def __call__(self, images: Tensor) -> list[Detections]:
        """Find objects.

        Args:
            images: N x 3 x H x W, float32, [0, 1], RGB, any size; the detector runs on their device.

        Returns:
            One `Detections` per picture, at most 100 each, with low scores too (about 0.001 and up) so that average precision can be
            computed.
        """
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Sixteen hex digits over the content of the weights, wherever they lie. Raises as `require`."""
        raise NotImplementedError

    def require(self) -> None:
        """Raise `bench.errors.Unavailable` with what is missing and how to get it; nothing by default."""

    def protocol(self) -> dict[str, Any]:
        """What of this detector decides a number, as JSON values for its card: name, options (weights by content, not by path).

        Raises as `require`.
        """
        options = {k: v for k, v in dataclasses.asdict(self).items() if k != "weights"}
        return {"name": type(self).__module__.rpartition(".")[2], **options, "fingerprint": self.fingerprint()}


def best_boxes(
    boxes: Tensor, class_scores: Tensor, size: tuple[int, int], *, nms: float, confidence: float = 0.001, limit: int = 100
) -> Detections:
    """Raw candidates of one picture -> detections: best class of each, threshold, non-maximum suppression within a class, the `limit` best.

    Args:
        boxes: A x 4, x0 y0 x1 y1 in pixels.
        class_scores: A x C, [0, 1].
        size: height and width that boxes are clipped to.
        nms: intersection over union above which the weaker of two boxes of one class goes.
        confidence: candidates below it go.
        limit: how many stay.
    """
    from torchvision.ops import batched_nms, clip_boxes_to_image

    scores, labels = class_scores.max(dim=1)
    keep = scores >= confidence
    boxes, labels, scores = boxes[keep], labels[keep], scores[keep]
    kept = batched_nms(boxes, scores, labels, nms)[:limit]  # best first
    return Detections(clip_boxes_to_image(boxes[kept], size), labels[kept], scores[kept])  # clipped last, as YOLO does


def weights_file(path: str, who: str) -> Path:
    """A user's weights, by absolute path: nothing is looked up, nothing is downloaded.

    Raises:
        Unavailable: no path was given, or no file is there.
        UsageError: the path is relative (a result must not depend on the working directory).
    """
    if not path:
        raise Unavailable(f"detector {who!r} needs weights: give {who}[weights=/absolute/path]; nothing is downloaded")
    if not Path(path).is_absolute():
        raise UsageError(f"{who}[weights={path}]: give an absolute path")
    if not Path(path).is_file():
        raise Unavailable(f"detector {who!r}: no weights at {path}; nothing is downloaded")
    return Path(path)


def hash_file(path: Path) -> str:
    """Sixteen hex digits of the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmenter:
    """Base of every segmenter. Options are dataclass fields; those that are paths must not enter `protocol`, their content must."""

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        raise NotImplementedError

    def __call__(self, images: Tensor) -> Tensor:
        """Label every pixel.

        Args:
            images: N x 3 x H x W, float32, [0, 1], RGB; the segmenter runs on their device.

        Returns:
            N x H x W, int64: 0 to classes - 1, or -1 for pixels that do not count.
        """
        raise NotImplementedError

    def require(self) -> None:
        """Raise `bench.errors.Unavailable` with what is missing and how to get it; nothing by default."""

    def protocol(self) -> dict[str, Any]:
        """What of this segmenter decides a number, as JSON values for its card: name, options (files by content, not by path)."""
        return {"name": type(self).__module__.rpartition(".")[2], **dataclasses.asdict(self)}
