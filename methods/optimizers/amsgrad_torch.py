"""AMSGrad as torch has it. After Reddi, Kale, Kumar. ICLR 2018, arXiv:1904.09237."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._torch import from_torch


def amsgrad_torch(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """`amsgrad` with Adam's corrections: w -= lr (m / (1 - b1^t)) / (sqrt(u / (1 - b2^t)) + eps), u the largest v so far, as averaged.

    The rate may grow again, because u is divided by the correction of this step, not of that in which it was found.
    `weight_decay` adds that multiple of w to g. torch.optim.Adam, fused.
    """
    return from_torch(torch.optim.Adam, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=True)
