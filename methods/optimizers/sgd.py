"""Stochastic gradient descent. Robbins, Monro. Annals of Mathematical Statistics 22(3), 1951."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import LearningRate, WeightDecay
from methods.optimizers._torch import from_torch


def sgd(params: Sequence[Tensor], *, lr: LearningRate = 1e-2, weight_decay: WeightDecay = 0.0) -> torch.optim.Optimizer:
    """The step w -= lr g. `weight_decay` adds that multiple of w to g. torch.optim.SGD, fused."""
    return from_torch(torch.optim.SGD, params, lr=lr, weight_decay=weight_decay)
