"""ADADELTA: An Adaptive Learning Rate Method. Zeiler. 2012, arXiv:1212.5701."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._torch import from_torch


def adadelta(params: Sequence[Tensor], *, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """Algorithm 1: v = rho v + (1 - rho) g^2, d = sqrt(u + eps) / sqrt(v + eps) g, u = rho u + (1 - rho) d^2, w -= lr d; eps inside the roots.

    The paper has no rate (lr = 1). `weight_decay` adds that multiple of w to g. torch.optim.Adadelta, over all tensors at once.
    What lecture notes call AdaDelta, a step divided by the root of an average of squares alone, is `rmsprop`.
    """
    return from_torch(torch.optim.Adadelta, params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)
