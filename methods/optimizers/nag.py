"""Nesterov's accelerated gradient. Doklady AN SSSR 269(3), 1983; as momentum: Sutskever, Martens, Dahl, Hinton. ICML 2013."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import LearningRate, Momentum, WeightDecay
from methods.optimizers._torch import from_torch


def nag(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-2, momentum: Momentum = 0.9, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps u = mu u + g, y -= lr (g + mu u), mu the momentum, u starting at 0. torch.optim.SGD, fused.

    The parameters are the look-ahead points y = w - lr mu u of u' = mu u + g(y), w' = w - lr u' (ICML 2013, Eq. 3-4), where g is taken: so
    validation and test score y, not the iterate w.
    The averaging form m = b m + (1 - b) g(w - a b m), w -= a m is this one with momentum = b and lr = (1 - b) a.
    """
    return from_torch(torch.optim.SGD, params, lr=lr, momentum=momentum, nesterov=True, weight_decay=weight_decay)
