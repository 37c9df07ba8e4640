"""Adaptive Gradient Methods with Dynamic Bound of Learning Rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.claim import Finding, Paper, claim
from bench.claims._optimization import path, thin
from bench.figure import Line, Panel

PAPER = Paper(
    title="Adaptive Gradient Methods with Dynamic Bound of Learning Rate",
    authors="Luo, Xiong, Liu, Sun",
    venue="ICLR 2019",
    year=2019,
    arxiv="1902.09843",
    lesson="Adam's rates can be extreme: huge where gradients are tiny, tiny where they are huge. AdaBound clips each rate between two "
    "bounds that begin at nothing and infinity and close on one final rate. So training starts as Adam and ends as gradient descent with "
    "momentum, with no moment at which it switches.",
)

_SPEC = "adabound[lr=0.001,final_lr=0.1,gamma=0.001]"


@claim(
    place="Sec. 4, Alg. 2",
    statement="Each rate is clipped to [f (1 - 1 / (gamma t + 1)), f (1 + 1 / (gamma t))], f the final rate: f alone in the end.",
    predicted="the upper bound where the gradient is 1e-6, the lower one where it is 1e6",
    how="steps of `adabound`, divided by the averaged gradient, f = 0.1, gamma = 0.001, 3,000 steps along two constant slopes",
    tolerance=1e-9,
    relative=True,
    deviation="the bounds are those of the authors' code; the paper prints 1 - b2 for gamma and divides the rate by sqrt(t)",
)
def bounds() -> Finding:
    """Clipped from below and from above."""
    slopes = torch.tensor([1e-6, 1e6], dtype=torch.float64)
    T = 3_000
    t = torch.arange(1, T + 1, dtype=torch.float64)
    w = path(_SPEC, torch.zeros_like(slopes), lambda w: w @ slopes, T)
    rates = (w[:-1] - w[1:]) / (slopes * (1 - 0.9**t)[:, None])
    expected = torch.stack([0.1 * (1 + 1 / (1e-3 * t)), 0.1 * (1 - 1 / (1e-3 * t + 1))], 1)
    cases: dict[str, tuple[float, float]] = {}
    marks, at = [], thin(T)
    for i, name in enumerate(("upper", "lower")):
        cases |= {f"{name}, t = {k}": (float(expected[k - 1, i]), float(rates[k - 1, i])) for k in (1, 100, T)}
        marks += [Line(x=t[at], y=expected[at, i], label=name, theory=True), Line(x=t[at], y=rates[at, i], label=f"slope {slopes[i]:g}")]
    return Finding(cases, [Panel(marks=marks, x="step", y="rate", log="xy")])


@claim(
    place="Sec. 4",
    statement="It begins as Adam: at first the bounds touch nothing.",
    predicted="the first ten steps of `adam[lr=0.001]`",
    how="first ten steps of `adabound` along constant slopes of 0.01 to 0.5, in units of the rate; where eps is added differs",
    tolerance=1e-3,
)
def begins_as_adam() -> Finding:
    """Bounds as wide as any rate."""
    slopes = torch.logspace(-2, math.log10(0.5), 4, dtype=torch.float64)
    found, adam = (path(spec, torch.zeros_like(slopes), lambda w: w @ slopes, 10) / -1e-3 for spec in (_SPEC, "adam[lr=0.001]"))
    cases = {f"slope {slope:.3g}": (float(a), float(f)) for slope, a, f in zip(slopes, adam[-1], found[-1])}
    marks = [Line(x=range(11), y=adam[:, 0], label="Adam", theory=True), Line(x=range(11), y=found[:, 0], label="AdaBound")]
    return Finding(cases, [Panel(marks=marks, x="step", y="distance / rate", title="slope 0.01")])


@claim(
    place="Sec. 4",
    statement="It ends as gradient descent with momentum, at the final rate.",
    predicted="the recurrence w' - w = b1 (w - w_before) - (1 - b1) f h w of the heavy ball, applied to each pair of iterates",
    how="`adabound` with gamma = 1,000 on the loss sum h w^2 / 2, its iterates 50 and 100",
    tolerance=1e-5,
    relative=True,
)
def ends_as_momentum() -> Finding:
    """Bounds that leave one rate."""
    curvatures = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)
    w = path("adabound[lr=0.001,final_lr=0.1,gamma=1000.0]", torch.ones(3, dtype=torch.float64), lambda w: _quadratic(w, curvatures), 100)
    expected = w[1:-1] + 0.9 * (w[1:-1] - w[:-2]) - 0.1 * 0.1 * curvatures * w[1:-1]
    cases = {f"h = {h:g}, iterate {k}": (float(expected[k - 2, i]), float(w[k, i])) for i, h in enumerate(curvatures) for k in (50, 100)}
    marks = [Line(x=range(101), y=w[:, i], label=f"h = {h:g}") for i, h in enumerate(curvatures)]
    marks += [Line(x=range(2, 101), y=expected[:, i], theory=True) for i in range(3)]
    return Finding(cases, [Panel(marks=marks, x="step", y="w")])


def _quadratic(w: Tensor, curvatures: Tensor) -> Tensor:
    return (curvatures * w.square()).sum() / 2
