"""What a segmenter is: pictures in, a class for every pixel out. Any network serves the FCN-score."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor


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
