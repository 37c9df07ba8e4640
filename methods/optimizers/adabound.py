"""Adaptive Gradient Methods with Dynamic Bound of Learning Rate. Luo, Xiong, Liu, Sun. ICLR 2019, arXiv:1902.09843."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._bounds import Bounded
from methods.optimizers._options import Betas, BoundSpeed, Epsilon, FinalRate, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers


def adabound(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-3,
    final_lr: FinalRate = 0.1,
    gamma: BoundSpeed = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 2 as the authors' code has it: w -= clip(r, f (1 - 1 / (gamma t + 1)), f (1 + 1 / (gamma t))) m, f = `final_lr`.

    r = lr (sqrt(1 - b2^t) / (1 - b1^t)) / (sqrt(v) + eps), m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2. A schedule scales f with lr.
    The paper prints 1 - b2 for gamma and divides the step by sqrt(t), its code does not. `weight_decay` adds that multiple of w to g.
    The lower bound of the rate, which some notes credit to SWATS, is this paper's.
    """
    return _AdaBound(params, lr, final_lr, gamma, betas, eps, weight_decay)


class _AdaBound(Bounded):
    buffers = ("m", "v")

    @override
    def squares(self, s: Buffers) -> list[Tensor]:
        return s["v"]
