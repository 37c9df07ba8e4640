"""What sets of saliency share: a picture with where it draws the eye."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor

from bench.dataset import Picture
from datasets.reading.outputs import read_picture

_LOSSY = (".jpg", ".jpeg", ".jfif")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen(Picture):
    """A photograph and what people saw in it.

    `observed` is the photograph (3 x H x W); `target` the map to predict (1 x H x W, [0, 1]): the density of fixations, largest value 1, or
    the mask of the object where the set has no fixations. Some sets bring `fixations` and the `mask` too (1 x H x W, 0 or 1).
    """

    fixations: Tensor | None = None
    mask: Tensor | None = None

    @property
    def photograph(self) -> Tensor:
        """What was seen: `observed`, which every picture of such a set has."""
        assert self.observed is not None
        return self.observed


def density_of(image: Tensor) -> Tensor:
    """A map stored as a picture (3 x H x W), scaled to a largest value of 1: 1 x H x W."""
    return image[:1] / image[:1].amax().clamp_min(1 / 255)


def read_mask(path: Path) -> Tensor:
    """The mask of an object, a picture without colour: 1 x H x W, 1 where a pixel is above half. Raises like `read_picture`."""
    return (read_picture(path, 1) > 0.5).float()


def read_fixations(path: Path) -> Tensor:
    """Fixations as points in a picture without colour: 1 x H x W, 1 where a pixel is above 0; of a JPEG, whose points have rings around
    them, above half. Raises UsageError like `read_picture`.
    """
    least = 0.5 if path.suffix.lower() in _LOSSY else 0.0
    return (read_picture(path, 1) > least).float()
