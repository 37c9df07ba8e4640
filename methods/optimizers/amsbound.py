"""AMSBound, of Adaptive Gradient Methods with Dynamic Bound of Learning Rate. Luo, Xiong, Liu, Sun. ICLR 2019, arXiv:1902.09843."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._bounds import Bounded
from methods.optimizers._options import Betas, BoundSpeed, Epsilon, FinalRate, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers


def amsbound(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-3,
    final_lr: FinalRate = 0.1,
    gamma: BoundSpeed = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 3: `adabound` with the largest v so far in place of v; the bounds and corrections are those of the authors' code."""
    return _AMSBound(params, lr, final_lr, gamma, betas, eps, weight_decay)


class _AMSBound(Bounded):
    buffers = ("m", "v", "largest")

    @override
    def squares(self, s: Buffers) -> list[Tensor]:
        torch._foreach_maximum_(s["largest"], s["v"])
        return s["largest"]
