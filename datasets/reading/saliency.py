"""What sets of saliency share: a picture with where it draws the eye."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from bench.dataset import Picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen(Picture):
    """A picture with some of: `density` of fixations (1 x H x W, largest value 1), `fixations` and the `mask` of its object (1 x H x W, 0 or 1)."""

    density: Tensor | None = None
    fixations: Tensor | None = None
    mask: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """What is to be predicted: the density, or the mask where there is none."""
        found = self.mask if self.density is None else self.density
        assert found is not None
        return found


def density_of(image: Tensor) -> Tensor:
    """A map stored as a picture (3 x H x W), scaled to a largest value of 1: 1 x H x W."""
    return image[:1] / image[:1].amax().clamp_min(1 / 255)
