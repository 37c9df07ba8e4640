"""What claims share: a registered method on networks of one's own, distributions on a few atoms, exact samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench import registry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arena:
    """A task that hands out given networks, for claims that need a method's losses and updates but no data set."""

    G: nn.Module
    D: nn.Module
    shape: tuple[int, ...] = (1,)
    z_dim: int = 1
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))

    def generator(self) -> nn.Module:
        """The given one."""
        return self.G

    def critic(self, outputs: int = 1) -> nn.Module:
        """The given one."""
        return self.D


def play(spec: str, G: nn.Module, D: nn.Module, *, fake: Tensor | None = None, shape: tuple[int, ...] = (1,), z_dim: int = 1) -> Any:
    """The registered method of that spec between a generator and a critic of one's own.

    Args:
        spec: such as `wgan_gp[optimizer="sgd[lr=0.1]"]`; its `init`, where it has one, is applied to both networks.
        G: z -> samples.
        D: samples -> N scores.
        fake: samples that stand for the generator's, whatever their number.
        shape: of one sample.
        z_dim: of one latent.

    Raises:
        UsageError: an unknown name or key.
    """
    m = registry.make("method", spec)(Arena(G=G, D=D, shape=shape, z_dim=z_dim))
    if fake is not None:
        m.fake = lambda n: fake
    return m


class Known(nn.Module):
    """A critic or generator that is a known function, plus a bias of 0 for an optimiser to hold."""

    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.f, self.bias = f, nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x) + self.bias


class Table(nn.Module):
    """A critic of K atoms 0, 1, ...: a free score each; N x 1 atoms to N scores."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores.clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.scores[x[:, 0].long()]


def atoms(shares: Tensor, n: int) -> Tensor:
    """N samples (n x 1) of the atoms 0, 1, ... in exactly these shares, where n times a share is whole."""
    return torch.arange(float(len(shares)), dtype=shares.dtype).repeat_interleave((n * shares).round().long())[:, None]


def quantiles(n: int, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """The n quantiles of a Gaussian in the middles of n equal shares: its expectations without sampling noise; n, float64."""
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return mean + std * torch.special.ndtri(u)
