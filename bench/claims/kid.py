"""Demystifying MMD GANs: its kernel distance between sets of pictures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.figure import Bars, Line, Mark, Panel, Points

PAPER = Paper(
    title="Demystifying MMD GANs",
    authors="Binkowski, Sutherland, Arbel, Gretton",
    venue="ICLR 2018",
    year=2018,
    arxiv="1801.01401",
    lesson="Two distributions can be told apart by the mean of a kernel over pairs: within the one, within the other, and across. The "
    "cubic kernel of the kernel Inception distance sees means, covariances and third moments. Its estimate from samples is right in the "
    "mean, whatever their number.\n\n"
    "The Frechet distance is not: it is a distance of fitted moments, and two fits to one distribution never agree. The bias falls like 1 "
    "/ n and rises with the square of the number of features, so distances from different numbers of samples do not compare.",
)

Law = dict[float, float]
"""Atom -> probability."""


@claim(
    place="Sec. 3.1, Eq. 4",
    statement="The estimate of the squared discrepancy is unbiased, from two samples of either law already.",
    predicted="sum_ij (p_i - q_i) k(x_i, x_j) (p_j - q_j) over the atoms",
    how="the exact mean of `kd[net=pixels]` over every sample of two, or two and three, weighted by its probability",
    tolerance=1e-5,
)
def unbiased() -> Finding:
    """Right in the mean, by counting all cases."""
    p, q = {-1.0: 0.5, 0.0: 0.3, 2.0: 0.2}, {-1.0: 0.2, 0.0: 0.2, 2.0: 0.6}
    pairs = {"p and q": (p, q), "p and p": (p, p), "q and q": (q, q)}
    cases = {f"{name}, n = 2": (_discrepancy(a, b), _mean(a, b, 2)) for name, (a, b) in pairs.items()}
    cases["p and q, n = 3"] = _discrepancy(p, q), _mean(p, q, 3)
    names = list(cases)
    predicted, found = zip(*cases.values())
    bars = [
        Bars(names=names, y=predicted, label="squared discrepancy", theory=True),
        Bars(names=names, y=found, label="mean of the estimate"),
    ]
    return Finding(cases, [Panel(marks=bars)])


@claim(
    place="Sec. 4",
    statement="With its kernel (x.y / d + 1)^3 it compares the first three moments and no more.",
    predicted="3 dm1^2 + 3 dm2^2 + dm3^2 of the differences of the moments: 0 where three agree",
    how="the exact mean of `kd[net=pixels]` over samples of two, for laws on the line that differ first in the given moment",
    tolerance=1e-4,
)
def three_moments() -> Finding:
    """What the cubic kernel sees."""
    coin, root = {-1.0: 0.5, 1.0: 0.5}, math.sqrt(3)
    laws: dict[str, Law] = {
        "mean": {-0.5: 0.5, 1.5: 0.5},
        "variance": {-2.0: 0.5, 2.0: 0.5},
        "third moment": {-0.5: 0.8, 2.0: 0.2},
        "fourth moment": {-root: 1 / 6, 0.0: 2 / 3, root: 1 / 6},
    }
    cases, panels = {}, []
    for name, law in laws.items():
        d1, d2, d3 = (_moment(law, k) - _moment(coin, k) for k in (1, 2, 3))
        cases[name] = 3 * d1**2 + 3 * d2**2 + d3**2, _mean(law, coin, 2)
        marks = [Points(x=a, y=a.values(), label=label) for a, label in ((coin, "the one law"), (law, "the other"))]
        panels.append(Panel(marks=marks, x="atom", y="probability", title=f"differ in the {name}"))
    return Finding(cases, panels)


@claim(
    place="Sec. 4, App. D",
    statement="The Frechet distance is biased upwards: between two samples of one Gaussian it is on average not 0.",
    predicted="(2 d + d (d + 1) / 2) / n to first order, for n samples of d independent features",
    how="the mean of `fd[net=pixels]` over 100 pairs of samples of N(0, I)",
    tolerance=0.05,
    relative=True,
)
def frechet_is_biased() -> Finding:
    """A distance of a law to itself."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Mark] = []
    sizes = (200, 400, 800, 1600)
    for d in (4, 16):
        expected = [(2 * d + d * (d + 1) / 2) / n for n in sizes]
        found = [_mean_frechet(n, d) for n in sizes]
        cases |= {f"d = {d}, n = {n}": pair for n, pair in zip(sizes, zip(expected, found))}
        marks += [Line(x=sizes, y=expected, label=f"d = {d}, first order", theory=True), Points(x=sizes, y=found, label=f"d = {d}, mean")]
    return Finding(cases, [Panel(marks=marks, x="samples", y="Frechet distance", log="xy")])


def _estimate(a: Sequence[float], b: Sequence[float]) -> float:
    sets = (torch.tensor(x, dtype=torch.float64)[:, None] for x in (a, b))
    return float(registry.make("metric", "kd[net=pixels]")(*sets)["kd"])


def _mean(p: Law, q: Law, n: int) -> float:
    """The expectation of the estimate from n samples of p and two of q, by all cases."""
    samples = itertools.product(itertools.product(p, repeat=n), itertools.product(q, repeat=2))
    return sum(math.prod(p[x] for x in a) * math.prod(q[y] for y in b) * _estimate(a, b) for a, b in samples)


def _discrepancy(p: Law, q: Law) -> float:
    x, weight = torch.tensor([*p]), torch.tensor([p[a] - q[a] for a in p])
    return float(weight @ (x[:, None] * x + 1) ** 3 @ weight)


def _moment(law: Law, k: int) -> float:
    return sum(p * x**k for x, p in law.items())


def _mean_frechet(n: int, d: int) -> float:
    metric, rng = registry.make("metric", "fd[net=pixels]"), torch.Generator().manual_seed(n)

    def sample() -> Tensor:
        return torch.randn(n, d, generator=rng)

    return sum(float(metric(sample(), sample())["fd"]) for _ in range(100)) / 100
