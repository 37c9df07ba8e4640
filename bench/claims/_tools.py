"""What claims share: a registered method on networks of one's own, distributions on a few atoms, exact samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.feature import Features

Networks = nn.Module | list[nn.Module]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arena:
    """A task that hands out given networks, those of a list in turn, for claims that need a method's losses and updates but no data set."""

    G: Networks
    D: Networks
    shape: tuple[int, ...] = (1,)
    z_dim: int = 1
    classes: int = 0
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))

    def generator(self) -> nn.Module:
        """The given one, or the next."""
        return self.G.pop(0) if isinstance(self.G, list) else self.G

    def critic(self, outputs: int = 1) -> nn.Module:
        """The given one, or the next."""
        return self.D.pop(0) if isinstance(self.D, list) else self.D


def play(
    spec: str, G: Networks, D: Networks, *, fake: Tensor | None = None, shape: tuple[int, ...] = (1,), z_dim: int = 1, classes: int = 0
) -> Any:
    """The registered method of that spec between a generator and a critic of one's own.

    Args:
        spec: such as `wgan_gp[optimizer="sgd[lr=0.1]"]`; its `init`, where it has one, is applied to both networks.
        G: z -> samples. A list where the method asks for several.
        D: samples -> N scores. A list where the method asks for several (an encoder is one).
        fake: samples that stand for the generator's, whatever their number.
        shape: of one sample.
        z_dim: of one latent.
        classes: of the labels.

    Raises:
        UsageError: an unknown name or key.
    """
    m = registry.make("method", spec)(Arena(G=G, D=D, shape=shape, z_dim=z_dim, classes=classes))
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


class TableCritic(nn.Module):
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


def jensen_shannon(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """The Jensen-Shannon divergence in nats of two densities on a grid, by quadrature; differentiable."""
    m = ((p + q) / 2).clamp(min=1e-300)
    return torch.trapezoid(torch.xlogy(p, p / m) + torch.xlogy(q, q / m), x) / 2


def minimise(loss: Callable[[], Tensor], parameters: Iterable[Tensor], precision: float = 1e-14) -> float:
    """Bring a smooth loss to its minimum by L-BFGS, in place, until a step changes it by no more than `precision`; returns it."""
    optimizer = torch.optim.LBFGS(
        list(parameters), max_iter=500, tolerance_grad=1e-10, tolerance_change=precision, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value.item()

    optimizer.step(closure)
    return loss().item()


class Given(Features):
    """A classifier that is told its logits: they are the samples."""

    @override
    def logits(self, x: Tensor) -> Tensor:
        return x


def rate(metric: str, fake: Tensor, real: Tensor) -> float:
    """The number of a registered metric of class probabilities, of samples of which a classifier gives these logits, N x K."""
    part = registry.make("metric", metric)
    vars(part)["network"] = Given()
    return float(next(iter(part(fake, real).values())))


def evenly(classes: int, doubt: float = 0.0) -> Tensor:
    """Logits of 900 samples that fall on so many of 10 classes in turn, with that chance on a uniform class instead; 900 x 10, float64."""
    p = (1 - doubt) * nn.functional.one_hot(torch.arange(900) % classes, 10).double() + doubt / 10
    return p.clamp(min=1e-60).log()
