"""What AdaBound and AMSBound share: all but the squares that they divide by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from methods.optimizers._rule import Buffers, Rule, average, average_squares, root


class Bounded(Rule):
    """A rule whose rates lie between two bounds that close on `final_lr` like 1 / (gamma t)."""

    def __init__(
        self, params: Iterable[Any], lr: float, final_lr: float, gamma: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> None:
        if not (lr > 0 and gamma > 0):
            raise UsageError(f"lr and gamma of a bounded rule must be above 0, not {lr} and {gamma}")
        options = {"lr": lr, "final_lr": final_lr, "gamma": gamma, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "base_lr": lr})

    def squares(self, s: Buffers) -> list[Tensor]:
        """Of this step, under the root, from buffers "m" and "v" up to date."""
        raise NotImplementedError

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        """Subtract clip(Adam's rate, lower, upper) m, coordinate by coordinate."""
        (b1, b2), lr, gamma, t = group["betas"], group["lr"], group["gamma"], group["t"]
        final = group["final_lr"] * lr / group["base_lr"]  # a schedule scales it too
        average(s["m"], g, b1)
        average_squares(s["v"], g, b2)
        rates = root(self.squares(s), group["eps"])
        torch._foreach_reciprocal_(rates)
        lower, upper = final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))
        if isinstance(t, Tensor):
            torch._foreach_mul_(rates, (lr * (1 - b2**t).sqrt() / (1 - b1**t)).to(lr.dtype))
            for rate in rates:
                rate.clamp_(lower.to(rate.dtype), upper.to(rate.dtype))
        else:
            torch._foreach_mul_(rates, lr * math.sqrt(1 - b2**t) / (1 - b1**t))
            torch._foreach_clamp_min_(rates, lower)
            torch._foreach_clamp_max_(rates, upper)
        torch._foreach_addcmul_(w, rates, s["m"], -1)
