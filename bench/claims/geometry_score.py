"""Geometry Score: A Method For Comparing Generative Adversarial Networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.figure import Bars, Panel, Points

PAPER = Paper(
    title="Geometry Score: A Method For Comparing Generative Adversarial Networks",
    authors="Khrulkov, Oseledets",
    venue="ICML 2018",
    year=2018,
    arxiv="1802.02664",
    lesson="A generator may miss the shape of the data: close a gap, tear a hole. Choose some of the points at random, join those that "
    "the others see side by side, and let the eye grow less sharp: holes appear and are filled. The share of that time for which there "
    "are 0, 1, 2, ... holes is a histogram that knows the topology of the set, and two sets are compared by theirs.\n\n"
    "Only distances count, so a turned or a larger copy of a set is the same set, in any number of dimensions.",
)

_METRIC = "geometry_score[landmarks=32,gamma=0.125,repeats=10]"


@claim(
    place="Sec. 4, Sec. 5.1",
    statement="The mean number of holes is that of the shape: none of a disc, one of a circle, two of an eight or of two circles.",
    predicted="its first Betti number",
    how="the holes that `geometry_score` counts in 2,000 evenly spaced points; 32 landmarks, gamma = 1/8, 10 choices of landmarks",
    tolerance=0.2,
)
def holes() -> Finding:
    """Topology by witnesses."""
    circle, cases, panels = _circle(2000), {}, []
    for name, (betti, shape) in _shapes().items():
        cases[name] = float(betti), _compare(shape, circle, "geometry_score/holes_fake")
        panels.append(Panel(marks=[Points(x=shape[::7, 0], y=shape[::7, 1])], title=name, square=True))
    return Finding(cases, panels)


@claim(
    place="Alg. 2, Sec. 5.1",
    statement="Sets of one topology score 0, sets with other numbers of holes nearly 2: the squared distance of corners of the simplex.",
    predicted="0 or 2",
    how="`geometry_score` of each shape against the circle, as above",
    tolerance=0.25,
)
def score() -> Finding:
    """A circle is no disc."""
    circle, shapes = _circle(2000), _shapes()
    cases = {name: (0.0 if betti == 1 else 2.0, _compare(shape, circle, "geometry_score")) for name, (betti, shape) in shapes.items()}
    names = list(cases)
    predicted, found = zip(*cases.values())
    bars = [Bars(names=names, y=predicted, label="predicted", theory=True), Bars(names=names, y=found, label="measured")]
    return Finding(cases, [Panel(marks=bars, y="geometry score against a circle")])


@claim(
    place="Sec. 4",
    statement="Only relative distances count: a set that is turned, moved, enlarged or laid into 50 dimensions keeps its score.",
    predicted="the score of the disc against the circle",
    how="`geometry_score` of the disc after each of these against the circle, 1,000 points, the same landmarks",
    tolerance=1e-6,
)
def invariance() -> Finding:
    """Shape, not place or size."""
    circle, disc = _circle(1000), _disc(1000)
    frame = torch.linalg.qr(torch.randn(50, 2, dtype=torch.float64)).Q
    copies = {"moved": disc + 100, "enlarged": 1000 * disc, "in 50 dimensions": disc @ frame.T}
    reals = {"in 50 dimensions": circle @ frame.T}
    expected = _compare(disc, circle, "geometry_score")
    found = {name: _compare(copy, reals.get(name, circle), "geometry_score") for name, copy in copies.items()}
    names = list(copies)
    bars = [
        Bars(names=names, y=[expected] * 3, label="the disc itself", theory=True),
        Bars(names=names, y=found.values(), label="its copy"),
    ]
    return Finding({name: (expected, found[name]) for name in names}, [Panel(marks=bars, y="geometry score against a circle")])


def _compare(fake: Tensor, real: Tensor, key: str) -> float:
    return float(registry.make("metric", _METRIC)(fake, real)[key])


def _shapes() -> dict[str, tuple[int, Tensor]]:
    """Name -> (number of holes, 2,000 points)."""
    left, right = _circle(1000), _circle(1000)
    ellipse = _circle(2000, 0.1) * torch.tensor([1.5, 1.0])
    return {
        "disc": (0, _disc(2000)),
        "circle": (1, _circle(2000, 0.5)),
        "ellipse": (1, ellipse),
        "eight": (2, torch.cat([left - _right(1.0), right + _right(1.0)])),
        "two circles": (2, torch.cat([left - _right(1.5), right + _right(1.5)])),
    }


def _circle(n: int, phase: float = 0.0) -> Tensor:
    angle = 2 * math.pi * (torch.arange(n, dtype=torch.float64) + phase) / n
    return torch.stack([angle.cos(), angle.sin()], 1)


def _disc(n: int) -> Tensor:
    """A sunflower."""
    k = torch.arange(n, dtype=torch.float64)
    radius, angle = ((k + 0.5) / n).sqrt(), k * math.pi * (3 - math.sqrt(5))
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _right(x: float) -> Tensor:
    return torch.tensor([x, 0.0], dtype=torch.float64)
