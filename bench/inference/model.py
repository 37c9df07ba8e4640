"""A method in the hands of a user: pictures in, pictures out."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.inference.arrays import Pictures, like, to_batch
from bench.method import Batch


class Model:
    """A method that restores pictures or samples them; made by `ganbench.load`."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def restore(self, observed: Pictures, seed: int = 0) -> Any:
        """Restored pictures, of the kind and shape given: floats in [0, 1]; enlarged by super-resolution.

        Raises:
            UsageError: the method does not restore, or the pictures have other channels than it takes.
        """
        self._require("restore")
        batch = to_batch(observed).to(self.method.device)
        if batch.shape[1] != (channels := getattr(self.method.task, "channels", 3)):
            raise UsageError(f"{type(self.method).__name__} was made for {channels} channels, the pictures have {batch.shape[1]}")
        with evaluation_mode(self.method, seed):
            return like(observed, self.method.restore(Batch(batch)).clamp(0, 1).cpu())

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """N samples, n x shape; pictures in [0, 1]. Raises UsageError where the method does not sample."""
        self._require("sample")
        with evaluation_mode(self.method, seed):
            x: Tensor = self.method.sample(n).cpu()
        return x

    def _require(self, verb: str) -> None:
        if not hasattr(self.method, verb):
            raise UsageError(f"{type(self.method).__name__} cannot {verb}")
