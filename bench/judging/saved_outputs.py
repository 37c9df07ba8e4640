"""What a method restores or draws while it is judged, kept as files that `outputs` and `samples` read."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.method import Batch, Method
from bench.operators.images import clip


class SavesOutputs:
    """A method that also writes what it returns: pictures as PNG of 8 bits, NAME.png; sets of samples as `samples.npy` (float32)."""

    def __init__(self, method: Method, folder: Path) -> None:
        self._method: Any = method
        self._folder, self._samples = folder, list[Tensor]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)

    def restore(self, batch: Batch) -> Tensor:
        """As the method does; answers that are no pictures (boxes, labels) came from files, and are not kept again."""
        x_hat: Tensor = self._method.restore(batch)
        if x_hat.dim() != 4:
            return x_hat
        for name, picture in zip(batch.names, clip(x_hat).nan_to_num(), strict=True):
            file = self._folder.joinpath(*(part for part in PurePosixPath(f"{name}.png").parts if part not in ("/", "..")))
            file.parent.mkdir(parents=True, exist_ok=True)
            _write_png(picture, file)
        return x_hat

    def sample(self, n: int) -> Tensor:
        """As the method does."""
        x: Tensor = self._method.sample(n)
        self._samples.append(x.cpu())
        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(self._folder / "samples.npy", torch.cat(self._samples).float().numpy())
        return x


def _write_png(picture: Tensor, file: Path) -> None:
    levels = (picture * 255).round().byte().cpu()
    Image.fromarray((levels[0] if len(levels) == 1 else levels.permute(1, 2, 0)).numpy()).save(file)
