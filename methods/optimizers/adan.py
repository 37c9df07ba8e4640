"""Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models.

Xie, Zhou, Li, Lin, Yan. IEEE TPAMI 2024, arXiv:2208.06677.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import DecoupledWeightDecay, Epsilon, LearningRate
from methods.optimizers._rule import Buffers, Rule, average, average_squares, root, subtract_quotient


def adan(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-3,
    betas: Annotated[
        tuple[float, float, float], "decay a step of the averages of the gradient, of its change, and of the square of both together"
    ] = (0.98, 0.92, 0.99),
    eps: Epsilon = 1e-8,
    weight_decay: DecoupledWeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 1: w = (w - lr (m + b2 v) / (sqrt(n) + eps)) / (1 + lr weight_decay).

    With c = g - the gradient before (0 in the first step): m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) c, n = b3 n + (1 - b3) (g + b2 c)^2,
    each divided by 1 - b^t. Betas are those of the authors' code, 1 minus the paper's.
    """
    return _Adan(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})


class _Adan(Rule):
    buffers = ("m", "v", "n", "before")
    decoupled = True

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        (b1, b2, b3), lr, t = group["betas"], group["lr"], group["t"]
        change = list(torch._foreach_sub(g, s["before"]))
        torch._foreach_mul_(change, _like(lr, t > 1))
        torch._foreach_copy_(s["before"], g)
        average(s["m"], g, b1)
        average(s["v"], change, b2)
        average_squares(s["n"], list(torch._foreach_add(g, change, alpha=b2)), b3)
        c1, c2, c3 = (_like(lr, 1 - b**t) for b in (b1, b2, b3))
        steps = list(torch._foreach_div(s["m"], c1))
        torch._foreach_add_(steps, torch._foreach_div(s["v"], c2), alpha=b2)
        subtract_quotient(w, steps, root(list(torch._foreach_div(s["n"], c3)), group["eps"]), lr)
        torch._foreach_div_(w, 1 + lr * group["weight_decay"])


def _like(lr: float | Tensor, x: Any) -> Any:
    """A number of the step in the form of the rate: a float, or a tensor beside the parameters."""
    return x.to(lr.dtype) if isinstance(lr, Tensor) else float(x)
