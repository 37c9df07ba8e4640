"""Symbolic Discovery of Optimization Algorithms.

Chen, Liang, Huang, Real, Wang, Pham, Dong, Luong, Hsieh, Lu, Le. NeurIPS 2023, arXiv:2302.06675.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import DecoupledWeightDecay, LearningRate
from methods.optimizers._rule import Buffers, Rule, average, subtract


def lion(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-4,
    betas: Annotated[tuple[float, float], "weight of the average in the step's sign, and its decay a step"] = (0.9, 0.99),
    weight_decay: DecoupledWeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 2: w -= lr (sign(b1 m + (1 - b1) g) + weight_decay w), m = b2 m + (1 - b2) g, m starting at 0.

    Every coordinate moves by lr: set lr smaller than Adam's, and the decay larger.
    """
    return _Lion(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})


class _Lion(Rule):
    buffers = ("m",)
    decoupled = True

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        steps = list(torch._foreach_lerp(s["m"], g, 1 - group["betas"][0]))
        torch._foreach_sign_(steps)
        torch._foreach_add_(steps, w, alpha=group["weight_decay"])
        subtract(w, steps, group["lr"])
        average(s["m"], g, group["betas"][1])
