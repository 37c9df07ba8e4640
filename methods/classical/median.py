"""Median filter.

J. W. Tukey, "Exploratory data analysis", 1977; on pictures: T. S. Huang, "Two-dimensional digital signal processing II", 1981.

| source                                 | here     |
|----------------------------------------|----------|
| the median of a size x size window     | `filter` |

Departures: none.
"""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import param
from bench.operators.deterministic import median
from methods.classical._tuned import Candidate, Filter, TunedHP


class Median(Filter):
    """Order instead of a mean: what lies far off does not count."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """The window."""

        size: int | tuple[int, ...] = param((3, 5, 7), "side of the window, pixels, odd")

        def __post_init__(self) -> None:
            if any(size < 1 or size % 2 == 0 for size in (self.size if isinstance(self.size, tuple) else (self.size,))):
                raise ValueError(f"size must be odd and positive, not {self.size}")

    hp: HP

    @override
    def filter(self, y: Tensor, sigma: Tensor, hp: Candidate) -> Tensor:
        """The level only decides which `size` is best."""
        mirrored = F.pad(y, [hp.size // 2] * 4, mode="reflect")
        return median(mirrored.unfold(-2, hp.size, 1).unfold(-2, hp.size, 1).flatten(-2))
