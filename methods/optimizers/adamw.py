"""Decoupled Weight Decay Regularization. Loshchilov, Hutter. ICLR 2019, arXiv:1711.05101."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.optimizers._options import Betas, DecoupledWeightDecay, Epsilon, LearningRate
from methods.optimizers._torch import from_torch


def adamw(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Epsilon = 1e-8,
    weight_decay: DecoupledWeightDecay = 1e-2,
) -> torch.optim.Optimizer:
    """Algorithm 2: `adam`, but w shrinks by the factor 1 - lr weight_decay before each step; g stays as it is. torch.optim.AdamW, fused.

    The paper's decay is weight_decay times the schedule's factor alone, ours times the whole rate.
    """
    return from_torch(torch.optim.AdamW, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
