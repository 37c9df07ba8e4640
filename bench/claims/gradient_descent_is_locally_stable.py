"""Gradient Descent GAN Optimization is Locally Stable."""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from bench.claim import Finding, Paper, claim
from bench.claims._scalar_game import Scalar, field, in_the_plane, spectrum_of_field
from bench.claims._tools import play
from bench.figure import Arrows, Line, Mark, Panel, Points
from bench.method import Samples

PAPER = Paper(
    title="Gradient Descent GAN Optimization is Locally Stable",
    authors="Nagarajan, Kolter",
    venue="NIPS 2017",
    year=2017,
    arxiv="1706.04156",
    lesson="The value V = E f(D(x)) + E f(-D(G(z))) is not convex in the generator, yet gradient play can be stable: near an equilibrium "
    "the eigenvalues of the game decide. With a strictly concave f, as in the GAN, they lie to the left of the imaginary axis, because "
    "the critic's own curvature damps the rotation. With a linear f, as in the WGAN, nothing does, and the players circle for ever.\n\n"
    "The smallest example: a quadratic critic w x^2, a linear generator a z, data and latents uniform on [-1, 1], the equilibrium at w = "
    "0, a = 1. A generator that also makes the critic's gradient small, eta |dV/dw|^2, moves the eigenvalues of the WGAN to the left; "
    "from eta = 3/2 on it no longer turns.",
)

_X = ((torch.arange(4000, dtype=torch.float64) + 0.5) / 2000 - 1)[:, None]  # uniform on [-1, 1], without sampling noise
_DATA = Samples(_X)


def _lq(spec: str, w: float = 0.0, a: float = 1.0) -> Any:
    """The linear-quadratic game: D = w x^2, G = a z."""
    m = play(spec, Scalar(a, lambda a, z: a * z), Scalar(w, lambda w, x: w * x[:, 0] ** 2))
    m.z = lambda n: _X
    return m


def _regularised(eta: float, w: float = 0.0, a: float = 1.0, steps: int = 0) -> Any:
    return _lq(f"gradient_regularized_gan[eta={eta},adversarial='wgan[clip=1e9]',optimizer='sgd[lr=0.1]',steps={steps}]", w, a)


@claim(
    place="Thm. 3.1",
    statement="With a strictly concave f the equilibrium attracts, with or without the regulariser: real parts are negative.",
    predicted="-b +- sqrt(b^2 - 1/9), b = 1/20 + eta / 9: f'' = -1/4 and E x^4 = 1/5 damp, f' = 1/2 and E x^2 = 1/3 rotate",
    how="the Jacobian of `gan` and `gradient_regularized_gan` at the linear-quadratic game's equilibrium, by differences of gradients",
    tolerance=1e-6,
)
def gan_is_locally_stable() -> Finding:
    """Eigenvalues of the GAN, with either generator's loss."""
    games = {"saturating": ("gan[adversarial=saturating]", 0.0), "non-saturating": ("gan[adversarial=nonsaturating]", 0.0)}
    games |= {f"saturating, eta = {eta:g}": (f"gradient_regularized_gan[eta={eta}]", eta) for eta in (0.5, 1.0)}
    pairs = {}
    for name, (spec, eta) in games.items():
        b = 1 / 20 + eta / 9
        root = cmath.sqrt(b * b - 1 / 9)
        pairs[name] = ((-b + root, -b - root), spectrum_of_field(_lq(spec), _DATA))
    return in_the_plane(pairs)


@claim(
    place="the linear-quadratic WGAN",
    statement="With a linear f it is not: continuous gradient play of the linear-quadratic WGAN circles around the equilibrium for ever.",
    predicted="w^2 + a^2 / 2 - log a keeps its value, which its derivative along dw/dt = (1 - a^2) / 3, da/dt = 2 w a / 3 confirms",
    how="its value on the way of `gradient_regularized_gan[eta=0]` with the loss `wgan`, Runge-Kutta in steps of 0.1 to 12",
    tolerance=1e-6,
)
def wgan_circles() -> Finding:
    """A conserved quantity, on three orbits."""
    cases, marks = {}, []
    for w, a in ((0.1, 1.1), (0.3, 1.3), (0.5, 1.6)):
        m = _regularised(0.0, w, a)
        way = np.array([(w, a), *_runge_kutta(m, 0.1, 120)])
        energy = way[:, 0] ** 2 + way[:, 1] ** 2 / 2 - np.log(way[:, 1])
        start, worst = w**2 + a**2 / 2 - math.log(a), int(abs(energy - energy[0]).argmax())
        cases[f"from w = {w:g}, a = {a:g}, where it is farthest"] = (start, float(energy[worst]))
        marks.append(Line(x=way[:, 0], y=way[:, 1], label=f"{start:.3f}"))
    return Finding(cases, [Panel(marks=[_arrows(0.0), *marks], x="critic w", y="generator a", square=True)])


@claim(
    place="Sec. 4: the gradient-based regulariser",
    statement="A generator that descends V + eta |dV / dw|^2 makes the linear-quadratic WGAN attract, for every eta > 0.",
    predicted="-4 eta / 9 +- sqrt(16 eta^2 / 81 - 4 / 9)",
    how="the Jacobian of `gradient_regularized_gan` with the loss `wgan` at the equilibrium, by differences of its gradients",
    tolerance=1e-6,
)
def regularised_eigenvalues() -> Finding:
    """Eigenvalues by eta."""
    return in_the_plane(
        {f"eta = {eta:g}": (_eigenvalues(eta), spectrum_of_field(_regularised(eta), _DATA)) for eta in (0.0, 0.25, 0.5, 1.0, 2.0)}
    )


@claim(
    place="Sec. 4: the gradient-based regulariser",
    statement="It damps critically at one weight: below it the players spiral in, above it they creep.",
    predicted="3/2, where 16 eta^2 / 81 = 4 / 9",
    how="the eta at which the imaginary parts of the measured eigenvalues vanish, by bisection",
    tolerance=1e-5,
)
def critical_weight() -> Finding:
    """Where rotation ends."""

    def measure(eta: float) -> Tensor:
        return spectrum_of_field(_regularised(eta), _DATA).eigenvalues

    low, high = 0.0, 4.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle).imag.abs().max() > 1e-7 else (low, middle)
    fine, etas = [0.01 * k for k in range(301)], [0.15 * k for k in range(21)]
    slowest = Line(x=fine, y=[_eigenvalues(eta)[0].real for eta in fine], label="real part", theory=True)
    turning = Line(x=fine, y=[_eigenvalues(eta)[0].imag for eta in fine], label="imaginary part", theory=True)
    found = [measure(eta) for eta in etas]
    real, imaginary = Points(x=etas, y=[v.real.max() for v in found]), Points(x=etas, y=[v.imag.max() for v in found])
    return Finding({"": (1.5, (low + high) / 2)}, [Panel(marks=[slowest, turning, real, imaginary], x="eta", y="the slowest eigenvalue")])


@claim(
    place="Sec. 4: the gradient-based regulariser",
    statement="In steps, the plain WGAN spirals outwards if both players move at once and keeps its distance if they take turns; "
    "the regularised one arrives.",
    predicted="the distance after 300 linear steps of 0.1: I + h J at once; in turns, the generator sees the critic's step",
    how="`gradient_regularized_gan` with the loss `wgan` from (0.001, 1.001): both players at once, and in turns with `sgd[lr=0.1]`",
    tolerance=0.01,
    relative=True,
)
def spiral_or_arrive() -> Finding:
    """Distances to the equilibrium, and ways from farther off."""
    cases, h, start = {}, 0.1, np.array([1e-3, 1e-3])
    for eta in (0.0, 0.5):
        at_once = np.eye(2) + h * np.array([[0, -2 / 3], [2 / 3, -8 * eta / 9]])
        critic_first, generator_next = np.array([[1, -2 * h / 3], [0, 1]]), np.array([[1, 0], [2 * h / 3, 1 - 8 * eta * h / 9]])
        for name, step, play_on in (("at once", at_once, _at_once), ("in turns", generator_next @ critic_first, _in_turns)):
            predicted = np.linalg.norm(np.linalg.matrix_power(step, 300) @ start)
            *_, (w, a) = play_on(_regularised(eta, 1e-3, 1.001, 300), 300)
            cases[f"{name}, eta = {eta:g}"] = (float(predicted), math.hypot(w, a - 1))
    panels = []
    for eta in (0.0, 0.5):
        x, y = zip(*_at_once(_regularised(eta, 0.1, 1.1), 300))
        marks: list[Mark] = [_arrows(eta), Line(x=x, y=y, label="at once"), Points(x=[0], y=[1], label="equilibrium", theory=True)]
        panels.append(Panel(marks=marks, x="critic w", y="generator a", title=f"eta = {eta:g}", square=True))
    return Finding(cases, panels)


def _eigenvalues(eta: float) -> tuple[complex, complex]:
    """Of the regularised game at its equilibrium, the slowest first."""
    root = cmath.sqrt(16 * eta**2 / 81 - 4 / 9)
    return -4 * eta / 9 + root, -4 * eta / 9 - root


def _here(m: Any) -> tuple[float, float]:
    return m.D.weight.item(), m.G.weight.item()


def _at_once(m: Any, steps: int, h: float = 0.1) -> Iterator[tuple[float, float]]:
    """Euler's method on both gradients."""
    x = parameters_to_vector([m.D.weight, m.G.weight]).detach()
    for _ in range(steps):
        x = x + h * field(m, _DATA, x)
        yield float(x[0]), float(x[1])


def _in_turns(m: Any, steps: int) -> Iterator[tuple[float, float]]:
    """As the method trains."""
    return (_here(m) for _ in itertools.islice(m.train(itertools.repeat(_DATA)), steps))


def _runge_kutta(m: Any, h: float, steps: int) -> Iterator[tuple[float, float]]:
    """The classical method of fourth order."""
    x = parameters_to_vector([m.D.weight, m.G.weight]).detach()
    for _ in range(steps):
        k1 = field(m, _DATA, x)
        k2 = field(m, _DATA, x + h / 2 * k1)
        k3 = field(m, _DATA, x + h / 2 * k2)
        k4 = field(m, _DATA, x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        yield float(x[0]), float(x[1])


def _arrows(eta: float) -> Arrows:
    """The field around the equilibrium."""
    m = _regularised(eta)
    at = [torch.tensor([w, a], dtype=torch.float64) for w in np.linspace(-0.6, 0.6, 7) for a in np.linspace(0.4, 1.6, 7)]
    v = [field(m, _DATA, x) for x in at]
    return Arrows(x=[p[0] for p in at], y=[p[1] for p in at], u=[f[0] for f in v], v=[f[1] for f in v])
