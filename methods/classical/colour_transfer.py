"""Colours moved to those of the other domain by one affine map: translation without looking at what is where.

F. Pitie, A. Kokaram. The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer. CVMP 2007.

| paper                                                       | here       |
|-------------------------------------------------------------|------------|
| T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2, the transport of two | `_transport` |
| Gaussians with covariances A and B at least squared cost    |            |

Departures: between two domains, not two pictures: means and covariances are those of all pixels of the training batches; 1e-6 is added to
    the variances, since grey pictures have but one colour axis.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask


class ColourTransfer(Method[RestorationTask]):
    """The affine map of colours that carries mean and covariance of the observed pictures to those of the targets."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"unpaired"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """How many pictures are measured."""

        steps: int = param(200, "batches")
        batch_size: int = param(16, "pictures of either domain a batch")

    hp: HP

    @override
    def prepare(self, data: Iterator[Batch]) -> None:
        """Start with the moments of one batch."""
        self.moments = _moments(next(data))

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Running means of the first and second moments."""
        while self.t < self.hp.steps:
            change = (_moments(next(data)) - self.moments) / (self.t + 2)  # `prepare` saw the first
            self.moments += change
            self.t += 1
            yield {"change": change.abs().mean()}

    def restore(self, batch: Batch) -> Tensor:
        """N x 3 x H x W in [0, 1]."""
        (mean, target_mean), (a, b) = _gaussians(self.moments)
        y = torch.einsum("ij,njhw->nihw", _transport(a, b), batch.observed.double() - mean.view(3, 1, 1)) + target_mean.view(3, 1, 1)
        return y.clamp(0, 1).float()


def _moments(batch: Batch) -> Tensor:
    """2 x 4 x 4, float64: E [1, c] [1, c]' over the colours c of all pixels, observed and target."""
    assert batch.truth is not None
    return torch.stack([_second(x.double().transpose(0, 1).flatten(1)) for x in (batch.observed, batch.truth)])


def _second(colours: Tensor) -> Tensor:
    """Second moments of P colours and a constant: 3 x P -> 4 x 4."""
    ones = torch.cat([torch.ones_like(colours[:1]), colours])
    return ones @ ones.T / ones.shape[1]


def _gaussians(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Means, 2 x 3, and covariances, 2 x 3 x 3."""
    mean = moments[:, 0, 1:]
    return mean, moments[:, 1:, 1:] - mean[:, :, None] * mean[:, None] + 1e-6 * torch.eye(3).to(moments)


def _transport(a: Tensor, b: Tensor) -> Tensor:
    root, inverse = _power(a, 0.5), _power(a, -0.5)
    return inverse @ _power(root @ b @ root, 0.5) @ inverse


def _power(symmetric: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * values.clamp_min(1e-12) ** exponent) @ vectors.mT
