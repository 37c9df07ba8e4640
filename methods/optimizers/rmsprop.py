"""RMSProp. Tieleman, Hinton. Neural Networks for Machine Learning, lecture 6.5, Coursera 2012."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._torch import from_torch


def rmsprop(
    params: Sequence[Tensor], *, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """The step v = alpha v + (1 - alpha) g^2, w -= lr g / (sqrt(v) + eps), v starting at 0. torch.optim.RMSprop, over all tensors at once.

    `weight_decay` adds that multiple of w to g. Keras calls alpha rho and sets it to 0.9.
    """
    return from_torch(torch.optim.RMSprop, params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)
