"""What a method restores or draws while it is judged, kept as files that `outputs` and `samples` read."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.judging.png import write_png
from bench.method import Batch, Method
from bench.operators.images import clip


class SavesOutputs:
    """A method that also keeps what it returns: pictures as PNG of 8 bits, NAME.png; samples, once all are drawn, as `samples.npy`."""

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
            write_png(picture, file)
        return x_hat

    def sample(self, n: int) -> Tensor:
        """As the method does."""
        x: Tensor = self._method.sample(n)
        self._samples.append(x.float().cpu())
        return x

    def close(self) -> None:
        """Write the samples, where any were drawn."""
        if self._samples:
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(self._folder / "samples.npy", torch.cat(self._samples).numpy())
