"""Total-variation denoising by Chambolle's dual projection.

L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 1992;
A. Chambolle, "An algorithm for total variation minimization and applications", JMIV 2004.

| paper                                                              | here            |
|--------------------------------------------------------------------|-----------------|
| Chambolle Eq. 3: min TV(u) + |u - y|^2 / (2 lambda)                | `filter`        |
| Prop. 3.1 / Eq. 9: p <- (p + tau D(div p - y / lambda)) / (1 + ...) | loop of `filter` |
| Theorem 3.1: u = y - lambda div p                                  | end of `filter` |

Each channel has its own total variation.
Departures: tau is 1/4, as is usual since then (the theorem: 1/8); a fixed number of steps.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from methods.classical._tuned import Candidate, Filter, TunedHP


class TVChambolle(Filter):
    """The picture of least total variation near the noisy one."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """Strength and effort."""

        weight: float | tuple[float, ...] = param((0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1), "lambda in standard deviations of the noise")
        iterations: int = param(60, "ours: steps")

        def __post_init__(self) -> None:
            if self.iterations < 1:
                raise ValueError(f"iterations must be >= 1, not {self.iterations}")

    hp: HP

    @override
    def filter(self, y: Tensor, sigma: Tensor, hp: Candidate) -> Tensor:
        lam = hp.weight * sigma.clamp_min(1e-6)
        down, right = torch.zeros_like(y), torch.zeros_like(y)  # the dual field, -p
        step_down, step_right = torch.zeros_like(y), torch.zeros_like(y)  # the last row and column stay 0
        u = y
        for _ in range(hp.iterations):
            step_down[..., :-1, :] = u[..., 1:, :] - u[..., :-1, :]
            step_right[..., :-1] = u[..., 1:] - u[..., :-1]
            norm = torch.hypot(step_down, step_right).mul_(0.25 / lam).add_(1)
            down.sub_(step_down, alpha=0.25).div_(norm)
            right.sub_(step_right, alpha=0.25).div_(norm)
            u = y - down - right
            u[..., 1:, :] += down[..., :-1, :]
            u[..., 1:] += right[..., :-1]
        return u
