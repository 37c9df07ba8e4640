"""A Gaussian in the centre of every picture: photographers put there what matters, so it is the row that a saliency model has to beat.

Tatler, "The central fixation bias in scene viewing", Journal of Vision 2007; Judd, Durand, Torralba, "A benchmark of computational models
of saliency", 2012 (where the Gaussian is stretched to the picture's sides).

| source                              | here      |
|-------------------------------------|-----------|
| Gaussian stretched to the sides     | `restore` |

Departures: its width is ours.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from bench.method import Batch, Method, param
from bench.offers import Capability, SaliencyTask


class CentrePrior(Method[SaliencyTask]):
    """The same map for every picture."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """The width."""

        sigma: float = param(0.25, "ours: deviation as a share of height and width")

        def __post_init__(self) -> None:
            if self.sigma <= 0:
                raise ValueError(f"sigma must be > 0, not {self.sigma}")

    hp: HP

    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1], about 1 in the centre."""
        x = batch.observed
        places = [(torch.arange(n, device=x.device) + 0.5) / n - 0.5 for n in x.shape[-2:]]
        down, across = (torch.exp(-place.square() / (2 * self.hp.sigma**2)) for place in places)
        return torch.outer(down, across).expand(len(x), 1, -1, -1).to(x)
