"""Incorporating Nesterov Momentum into Adam. Dozat. ICLR 2016 workshop."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._torch import from_torch


def nadam(
    params: Sequence[Tensor], *, lr: LearningRate = 2e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Algorithm 2 with mu_t = b1 (1 - 0.96^(0.004 t) / 2), M_t the product of mu_1 ... mu_t, m and v the averages of Adam.

    w -= lr (mu_{t+1} m / (1 - M_{t+1}) + (1 - mu_t) g / (1 - M_t)) / (sqrt(v / (1 - b2^t)) + eps). torch.optim.NAdam, over all tensors at
    once. `weight_decay` adds that multiple of w to g.
    """
    return from_torch(torch.optim.NAdam, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
