"""The Dirac-GAN: data at 0, a generator at theta, a critic D(x) = -psi x. The smallest game that turns in circles."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from bench.claims._scalar_game import Scalar
from bench.claims._tools import play, quantiles
from bench.figure import Arrows, Line
from bench.method import Samples
from bench.spec import Spec, parse
from methods.procedures import alternate

STEP, STEPS, START = 0.2, 500, (1.0, 1.0)  # of the paper's figures
NOISE = 100  # quantiles that stand for Gaussian noise
Place = tuple[float, float]  # theta, psi


def dirac(spec: str, place: Place = (0.0, 0.0), step: float = STEP) -> Any:
    """A registered method as the Dirac-GAN's at a place, both players with plain gradient steps.

    D(x) = -psi x: a critic's loss is low where D is high on real samples, while the paper's psi makes it high on fakes.
    """
    part = parse(spec)
    options = {**part.options, "optimizer": f"sgd[lr={step}]", "steps": 10**15}  # so many that nothing anneals
    theta, psi = Scalar(place[0], lambda w, z: w.expand(len(z), 1)), Scalar(place[1], lambda w, x: -w * x[:, 0])
    return play(str(Spec(part.name, options)), theta, psi)


def place_of(m: Any) -> Place:
    """Where the players are: theta, psi."""
    return m.G.weight.item(), m.D.weight.item()


def put(m: Any, place: Place) -> None:
    """Put the players there."""
    m.G.weight.data.fill_(place[0])
    m.D.weight.data.fill_(place[1])


def batch_of(m: Any) -> Samples:
    """The data: zeros, as many as a method with noise needs."""
    return Samples(torch.zeros(NOISE if hasattr(m, "sigma") else 1, 1, dtype=torch.float64))


@contextlib.contextmanager
def even_noise() -> Iterator[None]:
    """Gaussian noise becomes quantiles of mean 0 and variance 1: expectations without sampling error."""
    e = quantiles(NOISE)
    e = e / e.square().mean().sqrt()
    with mock.patch.object(torch, "randn_like", lambda x: e[:, None].to(x)):
        yield


def velocity(m: Any) -> Place:
    """The field at the players' place, from the method's own losses."""
    g, d = _slopes(m)
    return -g.item(), -d.item()


def _slopes(m: Any) -> tuple[Tensor, Tensor]:
    """Each player's gradient of its own loss, the generator's first."""
    critic, generator = m.losses(batch_of(m))
    (d,) = torch.autograd.grad(critic, [m.D.weight], retain_graph=True)
    (g,) = torch.autograd.grad(generator, [m.G.weight])
    return g, d


def simultaneously(m: Any) -> Iterator[None]:
    """Both players step at once, along the gradients of the method's own losses."""
    while True:
        m.G.weight.grad, m.D.weight.grad = _slopes(m)
        m.opt_d.step()
        m.opt_g.step()
        m.adversarial.constrain(m.D)
        yield


def alternately(m: Any, n_critic: int = 1) -> Iterator[Any]:
    """The registry's own loop: `n_critic` critic steps, one of the generator. Consensus, which has no such loop, in it too."""
    critic, generator = m.critic_loss, m.generator_loss
    if hasattr(m, "energy"):
        critic, generator = (lambda b, i=i: m.losses(b)[i] for i in (0, 1))
    return alternate(m, itertools.repeat(batch_of(m)), critic, generator, n_critic, m.adversarial.constrain)


def path(m: Any, updates: Iterator[Any], n: int = STEPS) -> list[Place]:
    """Where the players are after each of n updates, the start first."""
    return [place_of(m), *(place_of(m) for _ in itertools.islice(updates, n))]


def turn(updated: Callable[[Place], Place], size: float = 1e-5) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The derivative at the equilibrium of one update, from what it does to two short vectors: 2 x 2."""
    return np.array([updated((size, 0.0)), updated((0.0, size))]).T / size


def update(m: Any) -> Callable[[Place], Place]:
    """One update of the method's own training, from any place."""
    updates = m.train(itertools.repeat(batch_of(m)))

    def updated(place: Place) -> Place:
        put(m, place)
        next(updates)
        return place_of(m)

    return updated


def flow(m: Any, h: float, n: int) -> Iterator[Place]:
    """The continuous game from where the players are: places at h, 2 h, ..., by the classical Runge-Kutta method."""
    x = np.array(place_of(m))

    def v(x: Any) -> Any:
        put(m, tuple(x))
        return np.array(velocity(m))

    for _ in range(n):
        a = v(x)
        b = v(x + h / 2 * a)
        c = v(x + h / 2 * b)
        x = x + h / 6 * (a + 2 * b + 2 * c + v(x + h * c))
        yield float(x[0]), float(x[1])


# -- figures
def radius(places: list[Place]) -> float:
    """How far from the equilibrium the last place is."""
    return math.hypot(*places[-1])


def line(places: list[Place], label: str, theory: bool = False) -> Line:
    """A path in the plane, thinned out."""
    theta, psi = zip(*places[:: max(1, len(places) // 250)])
    return Line(x=theta, y=psi, label=label, theory=theory)


def arrows(m: Any, reach: float = 1.6, n: int = 9) -> Arrows:
    """The field of a method on a grid; it moves the players."""
    grid, drawn = np.linspace(-reach, reach, n).tolist(), []
    for place in itertools.product(grid, grid):
        put(m, place)
        drawn.append((*place, *velocity(m)))
    x, y, u, v = zip(*drawn)
    return Arrows(x=x, y=y, u=u, v=v)
