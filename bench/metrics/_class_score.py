"""How sharp and how varied a classifier finds samples: the formula of the Inception score."""

from __future__ import annotations

import torch
from torch import Tensor


def class_score(log_p: Tensor) -> Tensor:
    """The score exp E_x KL(p(y|x) || p(y)) from log-probabilities N x K, float64: in [1, K]."""
    return information(log_p).exp()


def information(log_p: Tensor) -> Tensor:
    """E_x KL(p(y|x) || p(y)), nats."""
    p = log_p.exp()
    mean = p.mean(0)
    negative_entropy = (p * log_p.clamp(min=-1e3)).sum(1).mean()  # where log p is -inf, p is 0 and counts nothing
    return (negative_entropy - torch.xlogy(mean, mean).sum()).clamp(min=0)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of two distributions over K, nats; infinite where q misses what p has."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
