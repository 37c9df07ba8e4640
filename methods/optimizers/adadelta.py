"""ADADELTA: An Adaptive Learning Rate Method. Zeiler. 2012, arXiv:1212.5701."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from methods.optimizers._options import WeightDecay
from methods.optimizers._torch import from_torch


def adadelta(
    params: Sequence[Tensor],
    *,
    lr: Annotated[float, "factor of the step; the paper has none"] = 1.0,
    rho: Annotated[float, "decay a step of the averages of squared gradients and of squared steps"] = 0.9,
    eps: Annotated[float, "added to both averages inside their roots"] = 1e-6,
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 1: v = rho v + (1 - rho) g^2, d = sqrt(u + eps) / sqrt(v + eps) g, u = rho u + (1 - rho) d^2, w -= lr d.

    The paper has no rate (lr = 1). `weight_decay` adds that multiple of w to g. torch.optim.Adadelta, over all tensors at once.
    What lecture notes call AdaDelta, a step divided by the root of an average of squares alone, is `rmsprop`.
    """
    return from_torch(torch.optim.Adadelta, params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)
