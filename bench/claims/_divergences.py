"""f-divergences by their definitions, apart from the table of `fgan`, and that table's rows by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bench.claims._tools import Known, TableCritic, atoms, minimise, play
from bench.figure import Bars, Panel
from bench.method import Samples

Integrand = Callable[[Tensor, Tensor], Tensor]

OPTIONS = {
    "TV": "tv", "KL": "kl", "reverse KL": "reverse_kl", "Pearson": "pearson", "Neyman": "neyman", "Hellinger": "hellinger",
    "Jeffrey": "jeffrey", "JS": "js", "JS, pi = 0.3": "js_weighted,pi=0.3", "GAN": "gan",
    "alpha = 0.5": "alpha,alpha=0.5", "alpha = 2": "alpha,alpha=2.0",
}  # fmt: skip
"""Name -> `divergence` of `fgan` and its parameter."""


SMOOTH = [name for name in OPTIONS if name != "TV"]


def spec(name: str) -> str:
    """The method for a divergence of that name."""
    return f"fgan[divergence={OPTIONS[name]}]"


def row(name: str) -> Any:
    """The row of its table that `fgan` uses for a divergence of that name."""
    return play(spec(name), nn.Linear(1, 1), nn.Linear(1, 1)).divergence


def _alpha(a: float) -> Integrand:
    return lambda p, q: (p**a * q ** (1 - a) - a * p - (1 - a) * q) / (a * (a - 1))


def _mixed(pi: float) -> Integrand:
    """Weighted entropies against the entropy of the mixture."""
    return lambda p, q: pi * torch.xlogy(p, p) + (1 - pi) * torch.xlogy(q, q) - torch.xlogy(m := pi * p + (1 - pi) * q, m)


DEFINITIONS: dict[str, Integrand] = {
    "TV": lambda p, q: (p - q).abs() / 2,
    "KL": lambda p, q: p * (p / q).log(),
    "reverse KL": lambda p, q: q * (q / p).log(),
    "Pearson": lambda p, q: (p - q) ** 2 / q,
    "Neyman": lambda p, q: (p - q) ** 2 / p,
    "Hellinger": lambda p, q: (p.sqrt() - q.sqrt()) ** 2,
    "Jeffrey": lambda p, q: (p - q) * (p / q).log(),
    "JS": lambda p, q: 2 * _mixed(0.5)(p, q),
    "JS, pi = 0.3": _mixed(0.3),
    "GAN": lambda p, q: p * (p / (p + q)).log() + q * (q / (p + q)).log(),
    "alpha = 0.5": _alpha(0.5),
    "alpha = 2": _alpha(2.0),
}
"""Name -> what the divergence sums or integrates over x, of two densities p and q."""


def slope(name: str, p: Tensor, q: Tensor) -> Tensor:
    """The derivative in p of the definition: T* = f'(p / q)."""
    p = p.clone().requires_grad_()
    return torch.autograd.grad(DEFINITIONS[name](p, q).sum(), p)[0]


def normal(x: Tensor, mean: float | Tensor, std: float | Tensor) -> Tensor:
    """The density of N(mean, std^2)."""
    return torch.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


GRID = torch.linspace(-15, 17, 3201, dtype=torch.float64)
MIXTURE = 0.33 * normal(GRID, -1, math.sqrt(0.065)) + 0.67 * normal(GRID, 2, math.sqrt(2))
"""P of the paper's Table 3, on the grid."""


def supremum(f: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """Sup over u > 0 of u t - f(u) for each t: a search on ever finer grids of log u, first from -25 to 25."""
    centre, width = torch.zeros_like(t), 25.0
    for _ in range(6):
        x = centre[:, None] + width * torch.linspace(-1, 1, 201, dtype=t.dtype)
        best = (x.exp() * t[:, None] - f(x.exp())).max(1)
        centre, width = x.gather(1, best.indices[:, None])[:, 0], width / 50
    return best.values


def best_gaussian(value: Callable[[Tensor], Tensor]) -> tuple[float, float, float]:
    """The least divergence from the mixture over Gaussians, with mean and standard deviation; `value` takes the density on the grid."""
    mean, log_std = (torch.tensor(start, dtype=torch.float64, requires_grad=True) for start in (1.2, 0.5))
    best = minimise(lambda: value(normal(GRID, mean, log_std.exp())), [mean, log_std])
    return best, mean.item(), log_std.exp().item()


def defined(name: str) -> Callable[[Tensor], Tensor]:
    """The divergence of the mixture from a density q on the grid, by its definition."""
    return lambda q: torch.trapezoid(DEFINITIONS[name](MIXTURE, q), GRID)


def variational(name: str) -> Callable[[Tensor], Tensor]:
    """The same as E_P T* - E_Q f*(T*) at the best critic T* = f'(p / q), from the row of `fgan`."""
    r = row(name)

    def value(q: Tensor) -> Tensor:
        t = r.slope(MIXTURE / q.detach())  # it maximises the bound, so its own change does not count
        return torch.trapezoid(MIXTURE * t - q * r.conjugate(t), GRID)

    return value


def best_critic(name: str, p: Tensor, q: Tensor) -> tuple[float, Tensor]:
    """F, and T at each atom, for shares in tenths: a free score an atom that minimises the critic's loss of `fgan`."""
    m = play(spec(name), nn.Linear(1, 1), TableCritic(torch.zeros_like(p)), fake=atoms(q, 10))
    loss = minimise(lambda: m.losses(Samples(atoms(p, 10)))[0], m.D.parameters())
    return -loss, m.divergence.activation(m.D.scores.detach())


def tilted(offset: float, slope: float) -> Known:
    """V = offset + slope log p / q of N(0, 1) against N(1, 1)."""
    return Known(lambda x: offset + slope * (0.5 - x[:, 0]))


class Tilt(nn.Module):
    """V(x) = (1 - x^2) / 2 + w x."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (1 - x[:, 0] ** 2) / 2 + self.w * x[:, 0]


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    """Of a loss by all the parameters of a network."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)])


def approach(steps: int) -> list[float]:
    """J = |grad F|^2 / 2 on the way of `fgan` to a saddle point at 0, 0.

    V = (1 - x^2) / 2 + w x, data and latents are -1 and 1, samples z + theta.
    """
    G, D, ends = Known(lambda z: z), Tilt(), torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    m = play(f'fgan[divergence=pearson,steps={steps},optimizer="sgd[lr=1]"]', G, D)
    m.z = lambda n: ends
    nn.init.constant_(G.bias, 2e-3)
    nn.init.constant_(D.w, 1e-3)

    def half_square() -> float:
        critic, generator = m.losses(Samples(ends))
        return float(gradient(critic, D).square().sum() + gradient(generator, G).square().sum()) / 2

    return [half_square(), *(half_square() for _ in m.train(iter(lambda: Samples(ends), None)))]


def bars(cases: dict[str, tuple[float, float]], y: str) -> Panel:
    """Predictions beside measurements."""
    names, (predicted, measured) = list(cases), zip(*cases.values())
    return Panel(
        marks=[Bars(names=names, y=predicted, label="predicted", theory=True), Bars(names=names, y=measured, label="measured")], y=y
    )


def worst(expected: Tensor, found: Tensor) -> tuple[float, float]:
    """The entry where they differ most."""
    i = (expected - found).abs().nan_to_num(math.inf).argmax()
    return float(expected[i]), float(found[i])


def learned_gaussian(name: str, steps: int = 1500, n: int = 256) -> Tensor:
    """The path of `fgan` from N(0, 1) towards the mixture: updates x (F, mean, standard deviation)."""
    G, D = nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    nn.init.zeros_(G.bias)
    nn.init.ones_(G.weight)
    adam, schedule = '"adam[lr=5e-3,betas=(0.5,0.999)]"', '"linear_decay[start=0.5,end=0.04]"'
    m = play(f"fgan[divergence={OPTIONS[name]},steps={steps},batch_size={n},optimizer={adam},schedule={schedule}]", G, D)
    m.z = lambda n: torch.special.ndtri(_strata(n))

    def mixture() -> Iterator[Samples]:
        while True:
            u = _strata(n)
            low, high = torch.special.ndtri(u / 0.33), torch.special.ndtri((u - 0.33) / 0.67)
            yield Samples(torch.where(u < 0.33, math.sqrt(0.065) * low - 1, math.sqrt(2) * high + 2))

    return torch.stack([torch.stack([-log["critic"], G.bias.detach()[0], G.weight.detach()[0, 0].abs()]) for log in m.train(mixture())])


def _strata(n: int) -> Tensor:
    """One uniform number in each n-th of (0, 1), n x 1: the right distribution with less noise."""
    return ((torch.arange(n) + torch.rand(n)) / n).clamp(1e-6, 1 - 1e-6)[:, None]
