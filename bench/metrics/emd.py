"""Earth mover's distance of two maps. Rubner, Tomasi, Guibas, "The earth mover's distance as a metric for image retrieval", IJCV 2000."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.metric import SaliencyMetric
from bench.metrics._saliency import to_distribution
from bench.spec import param

_LARGEST = 1024  # cells: the linear programme has that number squared of unknowns


@dataclasses.dataclass(frozen=True, kw_only=True)
class EMD(SaliencyMetric):
    """The least work that turns one map into the other, as distributions on a coarse grid: mass times distance, in cells of that grid.

    MIT's code first matches the map's histogram to the truth's; this does not.
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "cells"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    definition: ClassVar[str] = (
        "earth mover's distance of both maps, shrunk and scaled to sum 1; Euclidean distance in cells; no histogram matching"
    )

    shrink: int = param(32, "pixels a cell of the coarse grid, along both axes")

    def __post_init__(self) -> None:
        if self.shrink < 1:
            raise ValueError(f"shrink must be >= 1, not {self.shrink}")

    @override
    def protocol(self) -> dict[str, Any]:
        return {"resizer": "torch bicubic, antialias, clipped at 0"}

    @override
    def score(self, saliency: Tensor, *truth: Tensor) -> Tensor:
        size = [math.ceil(n / self.shrink) for n in saliency.shape[-2:]]
        if math.prod(size) > _LARGEST:
            raise UsageError(f"EMD on {size[0]} x {size[1]} cells would not end: give it a shrink above {self.shrink}")
        maps = torch.stack([saliency, truth[0]], 1)  # N x 2 x H x W
        small = torch.nn.functional.interpolate(maps, size, mode="bicubic", antialias=True, align_corners=False).clamp_min(0)
        cells = np.array([*itertools.product(*map(range, size))], dtype=np.float64)
        return torch.tensor([_work(p, q, cells) for p, q in (to_distribution(pair).cpu().numpy() for pair in small)], dtype=torch.float64)


def _work(p: NDArray[np.float64], q: NDArray[np.float64], cells: NDArray[np.float64]) -> float:
    """The least work from where p has too much to where it lacks mass; by the triangle inequality the rest stays where it is."""
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    p, q = (m if m.any() else np.full_like(m, 1 / len(m)) for m in (p, q))
    give, take = np.flatnonzero(p > q), np.flatnonzero(q > p)
    if not len(give) or not len(take):
        return 0.0
    cost = np.linalg.norm(cells[give, None] - cells[None, take], axis=-1)
    supply, demand = (p - q)[give], (q - p)[take]
    leaving = kron(eye_array(len(give)), np.ones((1, len(take))), format="csr")
    arriving = kron(np.ones((1, len(give))), eye_array(len(take)), format="csr")[:-1]  # the last follows from the others
    found = linprog(cost.ravel(), A_eq=vstack([leaving, arriving]), b_eq=np.concatenate([supply, demand[:-1]]), method="highs")
    return float(found.fun)
