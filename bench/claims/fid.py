"""GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium: its distance between sets of pictures."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.figure import Bars, Line, Panel, Points

PAPER = Paper(
    title="GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
    authors="Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter",
    venue="NIPS 2017",
    year=2017,
    arxiv="1706.08500",
    lesson="To compare two sets of pictures, look at both through a network, fit a Gaussian to the features of either, and take the "
    "distance of the two Gaussians: how far apart their means are, and how much mass must move to turn one covariance into the other. The "
    "distance is 0 for equal moments and grows as pictures are disturbed.\n\n"
    "With the Inception network it is the FID. Under any other network it bears that network's name here, and numbers of two networks "
    "never share a column.",
)


@claim(
    place="Eq. 6",
    statement="The distance is |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), covariances that do not commute included.",
    predicted="the formula for 2 x 2 matrices, where the trace of the root of M is (tr M + 2 det(M)^(1/2))^(1/2)",
    how="`fd[net=pixels]` of 500 points each that have exactly these moments",
    tolerance=1e-4,
    relative=True,
)
def distance_of_gaussians() -> Finding:
    """Fitted moments, the closed form."""
    turn, square = _turn(math.pi / 4), torch.eye(2, dtype=torch.float64)
    pairs = {
        "shifted": (square, square, 3.0),
        "wider": (square, 4 * square, 0.0),
        "other axes": (torch.diag(torch.tensor([1.0, 9.0])).double(), torch.diag(torch.tensor([4.0, 1.0])).double(), 0.0),
        "turned by 45 degrees": (
            torch.diag(torch.tensor([1.0, 25.0])).double(),
            turn @ torch.diag(torch.tensor([1.0, 25.0])).double() @ turn.T,
            1.0,
        ),
    }
    cases, panels = {}, []
    for name, (s1, s2, shift) in pairs.items():
        root = torch.sqrt(torch.trace(s1 @ s2) + 2 * torch.sqrt(s1.det() * s2.det()))
        a, b = _points(s1, 0.0, 1), _points(s2, shift, 2)
        cases[name] = float(shift**2 + torch.trace(s1) + torch.trace(s2) - 2 * root), _distance("fd[net=pixels]", a, b)
        panels.append(Panel(marks=[Points(x=p[:150, 0], y=p[:150, 1]) for p in (a, b)], title=name, square=True))
    return Finding(cases, panels)


@claim(
    place="Eq. 6",
    statement="A set is at distance 0 from itself, with fewer samples than features, too, where the covariance is singular.",
    predicted="0",
    how="`fd[net=pixels]` of n samples of d features with themselves",
    tolerance=1e-9,
)
def distance_to_itself() -> Finding:
    """No distance, and no rounding that poses as one."""
    sizes = {"n = 1,000, d = 5": (1000, 5), "n = 50, d = 200": (50, 200), "n = 2, d = 1,000": (2, 1000)}
    found = {name: _distance("fd[net=pixels]", x := torch.randn(size), x) for name, size in sizes.items()}
    others = [_distance("fd[net=pixels]", torch.randn(size), torch.randn(size)) for size in sizes.values()]
    names = list(sizes)
    bars = [Bars(names=names, y=found.values(), label="from itself"), Bars(names=names, y=others, label="from another sample of its law")]
    return Finding({name: (0.0, found[name]) for name in names}, [Panel(marks=bars, y="distance", log="y")])


@claim(
    place="Sec. 4, Fig. 3",
    statement="The distance captures the level of a disturbance: it grows with it.",
    predicted="the distance at each level is at least that at the one before",
    how="`fd[net=digits_cnn]` of 400 disturbed digits and 400 others: Gaussian noise, black squares, other pictures (noise) mixed in",
    relation=">=",
)
def grows_with_disturbance() -> Finding:
    """More noise, more distance."""
    digits = registry.make("dataset", "digits").open(None, "train")
    x, others = digits.pick(torch.arange(400)).x, digits.pick(torch.arange(400, 800)).x
    noise, levels = torch.randn(x.shape), (0.0, 0.25, 0.5, 0.75, 1.0)
    disturbed = {
        "noise": lambda level: (x + level * noise).clamp(0, 1),
        "squares": lambda level: _blackened(x, round(12 * level)),
        "mixture": lambda level: torch.cat([noise[: round(400 * level)].clamp(0, 1), x[round(400 * level) :]]),
    }
    cases: dict[str, tuple[float, float]] = {}
    marks = []
    for name, disturb in disturbed.items():
        found = [_distance("fd[net=digits_cnn]", disturb(level), others) for level in levels]
        cases |= {f"{name}, {level:g}": pair for level, pair in zip(levels[1:], itertools.pairwise(found))}
        marks.append(Line(x=levels, y=found, label=name))
    return Finding(cases, [Panel(marks=marks, x="level of disturbance", y="Frechet distance")])


def _distance(metric: str, a: Tensor, b: Tensor) -> float:
    return float(registry.make("metric", metric)(a, b)["fd"])


def _turn(angle: float) -> Tensor:
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)


def _points(covariance: Tensor, shift: float, seed: int) -> Tensor:
    """500 points with exactly that sample covariance (n - 1) and mean (shift, 0)."""
    x = torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    white = torch.linalg.qr(x - x.mean(0)).Q * math.sqrt(499)
    return white @ torch.linalg.cholesky(covariance).T + torch.tensor([shift, 0.0], dtype=torch.float64)


def _blackened(x: Tensor, side: int) -> Tensor:
    """With a black square in the middle."""
    top = (x.shape[-1] - side) // 2
    y = x.clone()
    y[..., top : top + side, top : top + side] = 0
    return y
