"""A method in the hands of a user: pictures in, pictures out."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bench.errors import UsageError
from bench.inference.arrays import Pictures, like, to_batch
from bench.inference.load import Loaded
from bench.inference.restorer import Restorer
from bench.inference.samples import draw


class Model:
    """A method that restores pictures or samples them; made by `ganbench.load`.

    Attributes:
        method: the method itself. origin: where it comes from (see `bench.inference.load.Origin`).
    """

    def __init__(self, loaded: Loaded) -> None:
        self.method, self.origin, self._loaded = loaded.method, loaded.origin, loaded

    def restore(self, observed: Pictures, seed: int = 0) -> Any:
        """Restored pictures, of the kind and shape given: floats in [0, 1], whole; enlarged by super-resolution.

        A method for gray restores each colour by itself, one for colour sees gray as R = G = B.

        Raises:
            UsageError: the method does not restore, or cannot take such pictures.
        """
        return like(observed, Restorer(self._loaded, seed=seed).restore_whole(to_batch(observed)))

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """N samples, n x shape, those of `runner.py apply` under that seed; pictures in [0, 1].

        Raises:
            UsageError: the method draws no samples, or values that are no numbers.
        """
        if not hasattr(self.method, "sample"):
            raise UsageError(f"{self.origin.label} draws no samples")
        return draw(self._loaded, n, seed)
