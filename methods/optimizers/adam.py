"""Adam: A Method for Stochastic Optimization. Kingma, Ba. ICLR 2015, arXiv:1412.6980."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._torch import from_torch


def adam(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Algorithm 1: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    `weight_decay` adds that multiple of w to g (L2, not decoupled). torch.optim.Adam, fused.
    """
    return from_torch(torch.optim.Adam, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
