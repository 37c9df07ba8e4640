"""On the Variance of the Adaptive Learning Rate and Beyond. Liu, Jiang, He, Chen, Liu, Gao, Han. ICLR 2020, arXiv:1908.03265."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._torch import from_torch


def radam(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Algorithm 2: `adam` times sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r)), R = 2 / (1 - b2) - 1, r = R - 2 t b2^t / (1 - b2^t).

    While r <= 5 the step is lr m / (1 - b1^t), that of averaged momentum; the paper prints 4. eps is added to
    sqrt(v), before the correction. `weight_decay` adds that multiple of w to g. torch.optim.RAdam, over all tensors at once.
    """
    return from_torch(torch.optim.RAdam, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
