"""What AdaBound and AMSBound share: the clipped step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.errors import UsageError
from methods.optimizers._rule import Rule, root


class Bounded(Rule):
    """A rule whose rates lie between two bounds that close on `final_lr` like 1 / (gamma t)."""

    def __init__(self, params: Iterable[Any], options: Mapping[str, Any]) -> None:
        if not (options["lr"] > 0 and options["gamma"] > 0):
            raise UsageError(f"lr and gamma of a bounded rule must be above 0, not {options['lr']} and {options['gamma']}")
        super().__init__(params, {**options, "base_lr": options["lr"]})

    @staticmethod
    def bounded_step(w: list[Tensor], m: list[Tensor], v: list[Tensor], group: dict[str, Any]) -> None:
        """Subtract clip(Adam's rate, lower, upper) m, coordinate by coordinate."""
        (b1, b2), lr, gamma, t = group["betas"], group["lr"], group["gamma"], group["t"]
        final = group["final_lr"] * lr / group["base_lr"]  # a schedule scales it too
        rates = root(v, group["eps"])
        torch._foreach_reciprocal_(rates)
        torch._foreach_mul_(rates, lr * math.sqrt(1 - b2**t) / (1 - b1**t))
        torch._foreach_clamp_min_(rates, final * (1 - 1 / (gamma * t + 1)))
        torch._foreach_clamp_max_(rates, final * (1 + 1 / (gamma * t)))
        torch._foreach_addcmul_(w, rates, m, -1)
