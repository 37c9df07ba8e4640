"""On the Convergence of Adam and Beyond. Reddi, Kale, Kumar. ICLR 2018, arXiv:1904.09237."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers, Rule, average, average_squares, root, subtract_quotient


def amsgrad(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Algorithm 2: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, u = max(u, v), w -= lr m / (sqrt(u) + eps), all starting at 0.

    No bias is corrected; torch's form, which does, is `amsgrad_torch`. The paper has no eps, and a rate that falls like 1 / sqrt(t).
    `weight_decay` adds that multiple of w to g.
    """
    return _AMSGrad(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})


class _AMSGrad(Rule):
    buffers = ("m", "v", "largest")

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        average(s["m"], g, group["betas"][0])
        average_squares(s["v"], g, group["betas"][1])
        torch._foreach_maximum_(s["largest"], s["v"])
        subtract_quotient(w, s["m"], root(s["largest"], group["eps"]), group["lr"])
