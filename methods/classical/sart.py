"""SART: Simultaneous Algebraic Reconstruction Technique: a Superior Implementation of the ART Algorithm.

Andersen, Kak. Ultrasonic Imaging 6(1), 1984.

| paper                                               | here      |
|-----------------------------------------------------|-----------|
| x += relax B_v((p_v - A_v x) / (length of the ray)) | `attempt` |

A_v projects along one view (or a few), B_v averages over it.
Departures: views are taken in steps of the golden ratio, so that neighbours follow one another late; no Hamming window along the rays;
    attenuation stays above 0; A and B interpolate differently (see `bench.operators.ct`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, param
from bench.operators import ct
from methods.classical._tuned import Candidate, Reconstruction, TunedHP


class SART(Reconstruction):
    """Correct the slice until its projections are the measured ones; stop before it explains the noise, too."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """How far to go: more iterations gain over all HU, and lose in the window of the belly."""

        iterations: int | tuple[int, ...] = param((1, 2), "times that all views are gone through")
        relax: float | tuple[float, ...] = param((0.05, 0.15, 0.4), "share of a correction that is made")
        together: int = param(1, "views an update corrects for: 1 is SART, all of them SIRT")

        def __post_init__(self) -> None:
            if min(*self.values("iterations"), self.together) < 1 or not all(0 < relax < 2 for relax in self.values("relax")):
                raise ValueError(
                    f"iterations and together must be >= 1, relax in (0, 2), not {self.iterations}, {self.together} and {self.relax}",
                )

    hp: HP

    @override
    @torch.no_grad()
    def attempt(self, batch: Batch, hp: Candidate) -> Tensor:
        size, p = batch.observed.shape[-1], self.rays(batch)
        disc = ct.inscribed_disc(size, p.device).float()[None, None]
        length = self.scanner.project(disc)  # 1 x V x D, mm
        mu = torch.zeros_like(batch.observed)
        for views in _order(p.shape[1], hp.iterations, hp.together):
            error = p[:, views] - self.scanner.project(mu, views)
            error = torch.where(length[:, views] > self.scanner.field / size, error / length[:, views], 0)
            mu = ((mu + hp.relax * self.scanner.backproject(error, size, views)) * disc).clamp_min(0)
        return ct.picture(mu)


def _order(count: int, iterations: int, together: int) -> Iterator[slice]:
    """Groups of evenly spaced views, in steps of the golden ratio."""
    groups = -(-count // together)
    step = next(s for s in range(max(1, round(0.382 * groups)), 2 * groups + 1) if math.gcd(s, groups) == 1)
    for i in range(iterations * groups):
        yield slice(i * step % groups, count, groups)
