"""The game of arXiv:1706.09884: data and samples are mixtures of two Gaussians, the critic marks two intervals of the line.

Expectations are exact: the critic takes the mean of a Gaussian and returns the share of it that it marks. Several starts play side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.claims._tools import play
from bench.method import Samples

Rows = Sequence[Sequence[float]] | Tensor  # one a start
DATA, RATE = (-1.0, 1.0), 0.1
STARTS = {  # means; edges of the intervals
    "(2, 3)": ((2.0, 3.0), (-0.5, 0.5, 1.5, 2.5)),
    "(-1, 2.5)": ((-1.0, 2.5), (-4.0, 0.0, 1.0, 2.0)),
    "(2, 3), apart": ((2.0, 3.0), (-3.0, -2.0, 1.5, 2.5)),
    "(0, 0.5)": ((0.0, 0.5), (-3.0, -1.0, 1.0, 3.0)),
    "(-2.5, 2.5)": ((-2.5, 2.5), (-1.5, -0.5, 0.5, 1.5)),
}
_LINE = torch.linspace(-14, 14, 5601, dtype=torch.float64)


class Means(nn.Module):
    """A generator a start: the means of its two Gaussians, S x 2."""

    def __init__(self, means: Rows) -> None:
        super().__init__()
        self.means = nn.Parameter(rows(means).clone())

    def forward(self, z: Tensor) -> Tensor:
        return self.means.clone()  # the critic's step comes after the generator's, but sees the samples from before


class Intervals(nn.Module):
    """A critic a start, the edges of its two intervals, S x 4: the share of N(x, 1) between them, for means x, S x 2."""

    def __init__(self, edges: Rows) -> None:
        super().__init__()
        self.edges = nn.Parameter(rows(edges).clone())

    def forward(self, x: Tensor) -> Tensor:
        below = torch.special.ndtr(self.edges[:, None] - x[..., None])
        return below[..., 1] - below[..., 0] + below[..., 3] - below[..., 2]

    @torch.no_grad()
    def order(self) -> None:
        """Replace edges that crossed by the nearest in order: i is the max over j <= i of the min over k >= i of the mean of j to k."""
        sums = nn.functional.pad(self.edges.cumsum(1), (1, 0))
        mean = [[(sums[:, k + 1] - sums[:, j]) / (k + 1 - j) for k in range(4)] for j in range(4)]  # of those with k < j no use is made
        lowest = [[torch.stack(mean[j][i:]).amin(0) for j in range(i + 1)] for i in range(4)]
        self.edges.copy_(torch.stack([torch.stack(of).amax(0) for of in lowest], 1))


def rows(values: Rows) -> Tensor:
    """In float64."""
    return torch.as_tensor(values, dtype=torch.float64)


def game(means: Rows, edges: Rows, *, steps: int = 0, rate: float = RATE) -> tuple[Any, Samples]:
    """The registered method whose players step at once, and the data.

    Its losses are means over the starts, so its step is as much larger.
    """
    G, D = Means(means), Intervals(edges)
    n = len(G.means)
    m = play(f"unrolled_gan[k=0,steps={steps},adversarial='wgan[clip=1e9]',optimizer='sgd[lr={rate * n}]']", G, D, shape=(2,))
    m.opt_d.register_step_post_hook(lambda *_: D.order())
    return m, Samples(rows([DATA] * n))


def excess(means: Tensor, x: Tensor) -> Tensor:
    """The data's density at x (N) less that of each mixture (S x 2): S x N."""

    def density(means: Tensor) -> Tensor:
        return torch.exp(-((x[:, None] - means[:, None]) ** 2) / 2).mean(-1) / math.sqrt(2 * math.pi)

    return density(rows([DATA])) - density(means.detach())


def total_variation(means: Tensor) -> Tensor:
    """Between the data and each mixture (S x 2), by quadrature: S."""
    return torch.trapezoid(excess(means, _LINE).abs(), _LINE) / 2


def best_edges(means: Tensor) -> Tensor:
    """Of the best critic, S x 4: it marks where the excess is positive. The excess changes its sign three times at most."""
    x = _LINE[::4]
    y = excess(means, x)
    root = x[:-1] - y[:, :-1] * (x[1] - x[0]) / (y[:, 1:] - y[:, :-1])
    roots = torch.where((y[:, :-1] > 0) != (y[:, 1:] > 0), root, x[-1]).topk(3, largest=False).values
    start, end = x[[0, -1]].expand(len(y), 2).split(1, 1)
    return torch.where(y[:, :1] > 0, torch.cat([start, roots], 1), torch.cat([roots, end], 1))
