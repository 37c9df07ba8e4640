"""What a recorded camera shake is: one blurred picture and the many sharp ones along the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from bench.dataset import Picture
from datasets.reading.pixels import read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shaken(Picture):
    """A blurred picture with every sharp frame that went into it; `target` is one of them."""

    files: tuple[Path, ...]

    def frames(self) -> Iterator[Tensor]:
        """The sharp frames in order of time, 3 x H x W each, read one by one."""
        return (read_image(file) for file in self.files)
