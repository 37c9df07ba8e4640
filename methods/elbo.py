"""The evidence lower bound: what variational auto-encoders share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Logs, Method, Samples
from methods.bernoulli import nll
from methods.procedures import descend

_LOG_2PI = math.log(2 * math.pi)


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag variance) || N(0, I)), arXiv:1312.6114, App. B: N x latent -> N nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class Bernoulli(nn.Module):
    """Every value of x in [0, 1] is a coin with probability `mean` (App. C.1): N x ... -> N nats.
    Its samples are shown as probabilities.
    """

    @override
    def forward(self, x: Tensor, mean: Tensor) -> Tensor:
        return -nll(mean, x).flatten(1).sum(1)

    def draw(self, mean: Tensor) -> Tensor:
        """The probabilities, N x ..., not coins."""
        return mean


class Gaussian(nn.Module):
    """x is N(mean, variance I) with one learned variance: N x ... -> N nats. Points are drawn with their noise, pictures shown without."""

    def __init__(self) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(()))

    @override
    def forward(self, x: Tensor, mean: Tensor) -> Tensor:
        return -0.5 * (_LOG_2PI + self.log_variance + (x - mean).square() / self.log_variance.exp()).flatten(1).sum(1)

    def draw(self, mean: Tensor) -> Tensor:
        """Points with their noise, N x d; pictures without, N x C x H x W."""
        return mean if mean.dim() > 2 else mean + (self.log_variance / 2).exp() * torch.randn_like(mean)


def maximise(m: Method, data: Iterator[Samples], bound: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Iterator[Logs]:
    """Gradient ascent of `m.opt` on the bound until `m.hp.steps`.

    Args:
        m: the method.
        data: a stream that never ends.
        bound: x -> (expected log-likelihood, KL), N nats each; their difference is the bound.
    """
    while m.t < m.hp.steps:
        m.anneal()
        likelihood, divergence = (nats.mean() for nats in bound(next(data).x))
        loss = descend(m.opt, divergence - likelihood)
        m.t += 1
        yield {"loss": loss, "elbo": -loss, "kl": divergence.detach()}
