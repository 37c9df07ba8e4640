"""SGD with momentum, the heavy ball. Polyak. USSR Computational Mathematics and Mathematical Physics 4(5), 1964."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import LearningRate, Momentum, WeightDecay
from methods.optimizers._torch import from_torch


def sgdm(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-2, momentum: Momentum = 0.9, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps u = momentum u + g, w -= lr u, u starting at 0. `weight_decay` adds that multiple of w to g. torch.optim.SGD, fused.

    The averaging form m = b m + (1 - b) g, w -= a m is this one with momentum = b and lr = (1 - b) a.
    """
    return from_torch(torch.optim.SGD, params, lr=lr, momentum=momentum, weight_decay=weight_decay)
