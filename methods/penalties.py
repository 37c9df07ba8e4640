"""Gradient penalties on critics."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.precision import full_precision

Critic = Callable[[Tensor], Tensor]


def gradient_norm(D: Critic, x: Tensor) -> Tensor:
    """The norm of the critic's gradient at each sample, with a graph for a second derivative.

    Args:
        D: critic; a map of scores (PatchGAN) counts as its mean, one scalar a sample.
        x: N x ..., any range.

    Returns:
        N norms over all of a sample's entries: sqrt(sum of squares + 1e-12).
    """
    x = x.detach().requires_grad_()
    with full_precision():
        score = D(x).reshape(len(x), -1).mean(1)
    (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    return (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()


def gradient_penalty(D: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP's penalty (arXiv:1704.00028, Eq. 3 without lambda): E (|grad D(x)| - 1)^2, x = a real + (1 - a) fake, a ~ U(0, 1) a sample.

    Args:
        D: critic, see `gradient_norm`. It must treat samples separately: no batch norm.
        real: N x ..., any range.
        fake: same shape.

    Returns:
        A scalar, differentiable in the critic's parameters.
    """
    a = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
    return (gradient_norm(D, a * real + (1 - a) * fake) - 1).square().mean()


def zero_centred_penalty(D: Critic, x: Tensor) -> Tensor:
    """R1 on real samples, R2 on fakes (arXiv:1801.04406, Eq. 9 and 10 without gamma / 2): E |grad D(x)|^2.

    Args:
        D: critic, see `gradient_norm`.
        x: N x ..., any range.

    Returns:
        A scalar, differentiable in the critic's parameters.
    """
    return gradient_norm(D, x).square().mean()


def js_penalty(D: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Omega_JS (arXiv:1705.09367): E_real (1 - p)^2 |grad D(x)|^2 + E_fake p^2 |grad D(x)|^2, p = sigmoid(D(x)) with its gradient.

    Args:
        D: critic of raw scores, see `gradient_norm`.
        real: N x ..., any range.
        fake: same shape.

    Returns:
        A scalar, differentiable in the critic's parameters.
    """

    def weighted(x: Tensor, sign: int) -> Tensor:
        with full_precision():
            score = D(x).reshape(len(x), -1).mean(1)
        return ((sign * score).sigmoid() * gradient_norm(D, x)).square().mean()

    return weighted(real, -1) + weighted(fake, 1)
