"""Layers whose weights are divided by their largest singular value (Miyato et al. 2018, Algorithm 1), so that none stretches its input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override


class SpectralConv2d(nn.Conv2d):
    """A convolution with W / sigma(W), W as a matrix out x in K K; one step of the power iteration a pass in training."""

    u: Tensor

    @override
    def __init__(self, i: int, o: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(i, o, kernel, stride, padding)
        self.register_buffer("u", F.normalize(torch.randn(o), dim=0))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, normalised(self.weight, self.u, self.training), self.bias)


class SpectralLinear(nn.Linear):
    """A linear layer with W / sigma(W), in the same way."""

    u: Tensor

    @override
    def __init__(self, i: int, o: int) -> None:
        super().__init__(i, o)
        self.register_buffer("u", F.normalize(torch.randn(o), dim=0))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, normalised(self.weight, self.u, self.training), self.bias)


def normalised(weight: Tensor, u: Tensor, step: bool) -> Tensor:
    """W / sigma, sigma = u'W v, which gradients reach through W alone.

    Args:
        weight: out x ....
        u: out: the estimate of the left singular vector, which a `step` renews in place.
        step: whether to renew it.
    """
    w = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(w.T @ u, dim=0)
        new = F.normalize(w @ v, dim=0) if step else u.clone()  # u itself may be written to before the backward pass reads it
        if step:
            u.copy_(new)
    return weight / (new @ (w @ v))
