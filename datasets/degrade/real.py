"""The camera's own noise."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.operators.noise import Noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Real(Noise):
    """Nothing is added: the data set brings its noisy pictures, to train on too."""

    @override
    def apply(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Never.

        Raises:
            UsageError: these pictures came without noisy ones.
        """
        raise UsageError(
            "noise=real adds nothing and these pictures came without noisy ones: give a noise to simulate, such as --set noise=gaussian "
            "(pictures that came with theirs keep it)"
        )
