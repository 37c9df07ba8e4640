"""RMSProp. Tieleman, Hinton. Neural Networks for Machine Learning, lecture 6.5, Coursera 2012."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from methods.optimizers._options import Epsilon, LearningRate, WeightDecay
from methods.optimizers._torch import from_torch


def rmsprop(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-2,
    alpha: Annotated[float, "decay a step of the average of squared gradients"] = 0.99,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """The step v = alpha v + (1 - alpha) g^2, w -= lr g / (sqrt(v) + eps), v starting at 0. torch.optim.RMSprop, over all tensors at once.

    `weight_decay` adds that multiple of w to g. Keras calls alpha rho and sets it to 0.9.
    """
    return from_torch(torch.optim.RMSprop, params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)
