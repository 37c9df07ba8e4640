"""SGD with momentum that averages, as it is often taught: m is a mean of gradients, so the rate keeps its scale when b changes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import AveragingMomentum, LearningRate, WeightDecay
from methods.optimizers.sgdm import sgdm


def sgdm_ema(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-1, momentum: AveragingMomentum = 0.9, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps m = b m + (1 - b) g, w -= lr m, b the momentum, m starting at 0: exactly `sgdm` at the rate (1 - b) lr, and run as that.

    torch's `dampening` is no substitute: it leaves the first gradient undamped, whose share of m fades only like b^t.
    """
    return sgdm(params, lr=(1 - momentum) * lr, momentum=momentum, weight_decay=weight_decay)
