"""What the toy distributions share: they are mixtures of isotropic Gaussians, over a few centres or along a curve, so their densities are
known.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import DataSource, Split
from bench.method import Samples, param

_NODES = 2048  # of the quadrature along a curve: finer than its noise, so its error is that of the two ends
_CHUNK = 2**12  # points whose density is computed at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointSource(DataSource):
    """A distribution of points. A subclass says where its Gaussians are centred."""

    origin: ClassVar[str] = "made up: drawn as asked for"
    licence: ClassVar[str] = "none needed"
    layout: ClassVar[str] = "nothing"

    @override
    def count(self, root: Path | None, split: Split) -> int | None:
        return None

    def fingerprint(self) -> str:
        """Sixteen hex digits over the options."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    def centres(self) -> Tensor | None:
        """Where the modes are, K x d, float32; None for a curve, which has none."""
        return None

    def weights(self) -> Tensor:
        """The share of each component; float64, sum 1."""
        components = self.components()
        return torch.full((len(components),), 1 / len(components), dtype=torch.float64)

    def components(self) -> Tensor:
        """Means of the Gaussians, K x d, float64; those of a curve are the nodes of a quadrature."""
        raise NotImplementedError

    def deviations(self) -> Tensor:
        """Standard deviation of each component, K, float64."""
        raise NotImplementedError

    def draw(self, n: int, rng: torch.Generator) -> Samples:
        """N points, n x d float32, a function of `rng` alone; the labels are the components."""
        raise NotImplementedError

    def log_density(self, x: Tensor) -> Tensor:
        """The logarithm of the density at points (N x d), natural, N, float64."""
        return torch.cat([self._log_density(part.double()) for part in torch.split(x, _CHUNK)])

    def _log_density(self, x: Tensor) -> Tensor:
        means, std = self.components().to(x.device), self.deviations().to(x.device)
        squares = (torch.cdist(x, means, compute_mode="donot_use_mm_for_euclid_dist") / std).square()  # N x K
        constant = self.weights().to(x.device).log() - x.shape[1] * (std.log() + 0.5 * math.log(2 * math.pi))
        return (constant - squares / 2).logsumexp(1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture(PointSource):
    """Gaussians around a few centres."""

    @override
    def centres(self) -> Tensor:
        """Where the modes are, K x d, float32."""
        return self.components().float()

    @override
    def draw(self, n: int, rng: torch.Generator) -> Samples:
        """N points, and which mode each belongs to."""
        means = self.components()
        which = torch.multinomial(self.weights(), n, replacement=True, generator=rng)
        noise = torch.randn(n, means.shape[1], generator=rng, dtype=torch.float64)
        return Samples((means[which] + self.deviations()[which, None] * noise).float(), which)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Equal(PointSource):
    """All components have one standard deviation."""

    std: float = param(0.02, "standard deviation in every direction")

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ValueError(f"std must be positive, not {self.std}")

    @override
    def deviations(self) -> Tensor:
        return torch.full((len(self.components()),), self.std, dtype=torch.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EqualMixture(Equal, Mixture):
    """Gaussians of one size around a few centres."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves(Equal):
    """Gaussian noise around one or more curves, each followed at uniform `u` in [0, 1]."""

    def curves(self, u: Tensor) -> Tensor:
        """The places of u (n, float64) on each of the C curves: C x n x 2."""
        raise NotImplementedError

    @override
    def components(self) -> Tensor:
        """Midpoints of equal steps of u on every curve."""
        u = (torch.arange(_NODES, dtype=torch.float64) + 0.5) / _NODES
        return self.curves(u).flatten(0, 1)

    @override
    def draw(self, n: int, rng: torch.Generator) -> Samples:
        """N points, and which curve each belongs to."""
        u, noise = torch.rand(n, generator=rng, dtype=torch.float64), torch.randn(n, 2, generator=rng, dtype=torch.float64)
        places = self.curves(u)  # C x n x 2
        which = torch.randint(len(places), (n,), generator=rng)
        return Samples((places[which, torch.arange(n)] + self.std * noise).float(), which)
