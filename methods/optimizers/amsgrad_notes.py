"""AMSGrad as lecture notes have it: the maximum is taken inside the average's recursion."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers, Rule, average, root, subtract_quotient


def amsgrad_notes(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps m = b1 m + (1 - b1) g, v = max(b2 v + (1 - b2) g^2, v), w -= lr m / (sqrt(v) + eps), m and v starting at 0.

    Its v is never below the maximum of `amsgrad`, whose average forgets between records; so its steps are never longer for the same m.
    `weight_decay` adds that multiple of w to g.
    """
    return _AMSGrad(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})


class _AMSGrad(Rule):
    buffers = ("m", "v")

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        average(s["m"], g, group["betas"][0])
        new = list(torch._foreach_mul(s["v"], group["betas"][1]))
        torch._foreach_addcmul_(new, g, g, 1 - group["betas"][1])
        torch._foreach_maximum_(s["v"], new)
        subtract_quotient(w, s["m"], root(s["v"], group["eps"]), group["lr"])
