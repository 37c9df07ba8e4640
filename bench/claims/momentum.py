"""On the importance of initialization and momentum in deep learning."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bench.claim import Finding, Paper, claim
from bench.claims._optimization import path
from bench.figure import Line, Mark, Panel, Points

PAPER = Paper(
    title="On the importance of initialization and momentum in deep learning",
    authors="Sutskever, Martens, Dahl, Hinton",
    venue="ICML 2013",
    year=2013,
    lesson="Momentum adds up gradients in a velocity that decays. Where gradients agree, steps grow to 1 / (1 - mu) times their size; "
    "where they alternate, they cancel. On a quadratic every direction of curvature is a recurrence of two terms, and its two eigenvalues "
    "tell all: plain descent loses a share of 1 / kappa of the error in a step, momentum at Polyak's optimum a share of 1 / "
    "sqrt(kappa).\n\n"
    "Nesterov's variant takes the gradient where the velocity is about to lead. On a quadratic that is a momentum of mu (1 - lr "
    "curvature): less where the curvature is high, which damps the oscillations there.",
)

_KAPPAS = (10.0, 100.0, 1000.0)


@claim(
    place="Sec. 2, Eq. 1-2",
    statement="The averaging form m = b m + (1 - b) g, w -= a m is the heavy ball with momentum b and rate (1 - b) a.",
    predicted="the end of 200 steps of the averaging form, written out in a loop",
    how="200 steps of `sgdm[lr=(1-b)a,momentum=b]` on Rosenbrock's function from (-1.2, 1), a = 0.001",
    tolerance=1e-12,
)
def averaging_form() -> Finding:
    """Two ways to write momentum."""
    start, rate = torch.tensor([-1.2, 1.0], dtype=torch.float64), 1e-3
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line] = []
    for b in (0.5, 0.9):
        w = path(f"sgdm[lr={(1 - b) * rate},momentum={b}]", start, _rosenbrock, 200)
        averaged = _averaged(rate, b, 200)
        cases |= {f"b = {b}, {axis}": (averaged[-1][i], float(w[-1, i])) for i, axis in enumerate("xy")}
        marks += [
            Line(x=w[:, 0], y=w[:, 1], label=f"sgdm, b = {b}"),
            Line(x=[p[0] for p in averaged], y=[p[1] for p in averaged], theory=True),
        ]
    return Finding(cases, [Panel(marks=marks, x="x", y="y", title="Rosenbrock's function")])


@claim(
    place="Sec. 2",
    statement="Along a constant gradient, velocity builds up to 1 / (1 - mu) gradient steps.",
    predicted="(1 - mu^t) / (1 - mu) in step t",
    how="steps of `sgdm[lr=0.1]` on a linear loss, in units of lr times the gradient",
    tolerance=1e-9,
)
def terminal_velocity() -> Finding:
    """Acceleration along a persistent slope."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line] = []
    for mu in (0.5, 0.9, 0.99):
        w = path(f"sgdm[lr=0.1,momentum={mu}]", torch.zeros(1, dtype=torch.float64), lambda w: 3 * w.sum(), 300)[:, 0]
        velocity = (w[:-1] - w[1:]) / 0.3
        predicted = [(1 - mu**t) / (1 - mu) for t in range(1, 301)]
        cases |= {f"mu = {mu}, t = {t}": (predicted[t - 1], float(velocity[t - 1])) for t in (1, 2, 10, 300)}
        marks += [Line(x=range(1, 301), y=velocity, label=f"mu = {mu}"), Line(x=range(1, 301), y=predicted, theory=True)]
    return Finding(cases, [Panel(marks=marks, x="step", y="step / (lr gradient)", log="y")])


@claim(
    place="Sec. 2.1",
    statement="At its best rate, 2 / (1 + kappa) on curvatures 1 to kappa, descent shrinks the error by (kappa - 1) / (kappa + 1) a step.",
    predicted="(kappa - 1) / (kappa + 1)",
    how="the largest |eigenvalue| of the recurrence that iterates of `sgd` follow on 9 curvatures between 1 and kappa",
    tolerance=1e-9,
)
def rate_of_gradient_descent() -> Finding:
    """Plain descent on a quadratic."""
    found = {kappa: _recurrence(f"sgd[lr={2 / (1 + kappa)}]", _curvatures(kappa), order=1) for kappa in _KAPPAS}
    cases = {f"kappa = {kappa:g}": ((kappa - 1) / (kappa + 1), r.radius) for kappa, r in found.items()}
    return Finding(cases, [_plane(found[100.0], 99 / 101, "kappa = 100")])


@claim(
    place="Sec. 2.1",
    statement="At Polyak's optimum the heavy ball shrinks it by (sqrt kappa - 1) / (sqrt kappa + 1) a step: all eigenvalues on one circle.",
    predicted="(sqrt kappa - 1) / (sqrt kappa + 1)",
    how="the largest |eigenvalue| of the recurrence that iterates of `sgdm` follow; lr 4 / (1 + sqrt kappa)^2, momentum the square of that",
    tolerance=1e-6,
)
def rate_of_the_heavy_ball() -> Finding:
    """Accelerated descent on a quadratic."""
    best = {kappa: (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1) for kappa in _KAPPAS}
    found = {k: _recurrence(f"sgdm[lr={4 / (1 + math.sqrt(k)) ** 2},momentum={best[k] ** 2}]", _curvatures(k)) for k in _KAPPAS}
    cases = {f"kappa = {k:g}": (best[k], r.radius) for k, r in found.items()}
    return Finding(cases, [_plane(found[k], best[k], f"kappa = {k:g}") for k in _KAPPAS[:2]])


@claim(
    place="Thm. 2.1",
    statement="The heavy ball has the same momentum mu whatever the curvature.",
    predicted="mu = 0.9",
    how="minus the second coefficient of the recurrence that iterates of `sgdm[lr=0.1]` follow, by curvature",
    tolerance=1e-9,
)
def momentum_of_the_heavy_ball() -> Finding:
    """Effective momentum by curvature: classical."""
    return _effective("sgdm", nesterov=False)


@claim(
    place="Thm. 2.1",
    statement="On a quadratic Nesterov's method is the heavy ball with the momentum mu (1 - lr curvature).",
    predicted="mu (1 - lr curvature), mu = 0.9",
    how="minus the second coefficient of the recurrence that iterates of `nag[lr=0.1]` follow, by curvature",
    tolerance=1e-9,
)
def momentum_of_nesterov() -> Finding:
    """Effective momentum by curvature: Nesterov."""
    return _effective("nag", nesterov=True)


class _Recurrence(NamedTuple):
    """w' = a w + b w_before by curvature, and the roots of z^2 = a z + b."""

    b: Tensor
    roots: Tensor

    @property
    def radius(self) -> float:
        return float(self.roots.abs().max())


def _recurrence(spec: str, curvatures: Tensor, order: int = 2) -> _Recurrence:
    """The linear recurrence of one or two terms that an optimiser follows on sum h w^2 / 2, solved from its first iterates after w = 1."""
    w = path(spec, torch.ones_like(curvatures), lambda w: (curvatures * w.square()).sum() / 2, 4)
    if order == 1:
        return _Recurrence(torch.zeros_like(curvatures), (w[2] / w[1]).to(torch.complex128))
    a, b = torch.linalg.solve(torch.stack([w[2:4].T, w[1:3].T], -1), w[3:5].T[..., None])[..., 0].T  # two equations each
    root = (a.square() + 4 * b).to(torch.complex128).sqrt()
    return _Recurrence(b, torch.stack([(a + root) / 2, (a - root) / 2]))


def _effective(name: str, nesterov: bool) -> Finding:
    curvatures = torch.linspace(0.5, 8, 16, dtype=torch.float64)
    both = torch.full_like(curvatures, 0.9), 0.9 * (1 - 0.1 * curvatures)
    expected, found = both[nesterov], -_recurrence(f"{name}[lr=0.1,momentum=0.9]", curvatures).b
    marks: list[Mark] = [Line(x=curvatures, y=y, label=label, theory=True) for y, label in zip(both, ("heavy ball", "Nesterov"))]
    marks.append(Points(x=curvatures, y=found, label=name))
    cases = {f"curvature {h:g}": (float(p), float(m)) for h, p, m in zip(curvatures[::5], expected[::5], found[::5])}
    return Finding(cases, [Panel(marks=marks, x="curvature", y="effective momentum")])


def _curvatures(kappa: float) -> Tensor:
    return torch.logspace(0, math.log10(kappa), 9, dtype=torch.float64)


def _plane(found: _Recurrence, radius: float, title: str) -> Panel:
    """Eigenvalues beside the circle of the predicted radius."""
    angle = torch.linspace(0, 2 * math.pi, 200)
    circle = Line(x=radius * angle.cos(), y=radius * angle.sin(), label="predicted radius", theory=True)
    points = Points(x=found.roots.real.flatten(), y=found.roots.imag.flatten(), label="eigenvalues")
    return Panel(marks=[circle, points], x="real", y="imaginary", title=title, square=True)


def _rosenbrock(w: Tensor) -> Tensor:
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def _averaged(a: float, b: float, steps: int) -> list[tuple[float, float]]:
    """The averaging form on Rosenbrock's function, its gradient by hand."""
    x, y, mx, my = -1.2, 1.0, 0.0, 0.0
    points = [(x, y)]
    for _ in range(steps):
        slope = 200 * (y - x * x)
        mx, my = b * mx + (1 - b) * (2 * (x - 1) - 2 * x * slope), b * my + (1 - b) * slope
        x, y = x - a * mx, y - a * my
        points.append((x, y))
    return points
