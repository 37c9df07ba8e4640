"""Pictures as PNG files of 8 bits."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor


def write_png(picture: Tensor, path: Path) -> None:
    """Write C x H x W in [0, 1], C = 1 or 3; what lies beyond (noise) is clipped."""
    levels = (picture.clamp(0, 1) * 255).round().byte().cpu()
    Image.fromarray((levels[0] if len(levels) == 1 else levels.permute(1, 2, 0)).numpy()).save(path)
