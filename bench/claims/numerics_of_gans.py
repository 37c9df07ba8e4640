"""The Numerics of GANs."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import nn

from bench import registry
from bench.analysis.game_dynamics import Game, Spectrum, spectrum
from bench.claim import Finding, Paper, claim
from bench.claims import _dirac as game
from bench.claims._scalar_game import in_the_plane
from bench.claims._tools import play
from bench.figure import Line, Panel, Points
from bench.method import Samples
from methods.networks.backbones import MLPGenerator, mlp_critic

PAPER = Paper(
    title="The Numerics of GANs",
    authors="Mescheder, Nowozin, Geiger",
    venue="NIPS 2017",
    year=2017,
    arxiv="1705.10461",
    lesson="Training a GAN follows a vector field v that is no gradient: its Jacobian A has eigenvalues off the real axis, which make the "
    "players turn around the equilibrium instead of falling into it. Steps h along v converge only if every eigenvalue has a negative "
    "real part, and only if h is below a bound that shrinks with the square of |Im / Re|. In the bilinear game there is no such step at "
    "all.\n\n"
    "Consensus optimisation lets both players also make |v|^2 / 2 small. At an equilibrium that turns A into A - gamma A'A: every "
    "eigenvalue moves to the left, and the more the faster it turned.",
)

_LINEAR = 'adversarial="wgan[clip=1e9]"'  # never clips: f = theta psi
_GAMMAS = (0.1, 0.5, 1.0, 2.0)
_STRENGTHS = (0.1, 1.0)  # for networks


@claim(
    place="Convergence theory; the bilinear game",
    statement="Simultaneous gradient steps in the bilinear game multiply the distance from the equilibrium by the same factor each.",
    predicted="(1 + h^2)^(n / 2) after n = 50 steps",
    how="50 updates of `consensus_gan` with gamma = 0 on the Dirac-GAN with WGAN's losses, from (1, 0)",
    tolerance=1e-9,
    relative=True,
)
def bilinear_growth() -> Finding:
    """A spiral outwards."""
    cases, spirals = {}, []
    for h in (0.05, 0.1, 0.2):
        m = game.dirac(f"consensus_gan[{_LINEAR},gamma=0]", (1.0, 0.0), h)
        places = game.path(m, m.train(itertools.repeat(game.batch_of(m))), 50)
        cases[f"h = {h:g}"] = ((1 + h * h) ** 25, game.radius(places))
        spirals.append(game.line(places, f"h = {h:g}"))
    a = np.linspace(0, 2 * math.pi, 100)
    circle = Line(x=np.cos(a), y=np.sin(a), label="continuous time", theory=True)
    return Finding(cases, [Panel(marks=[circle, *spirals], x="theta", y="psi", square=True)])


@claim(
    place="Consensus optimisation; the bilinear game",
    statement="Consensus optimisation pulls the imaginary eigenvalues of the bilinear game to the left by gamma.",
    predicted="-gamma +- i",
    how="the Jacobian of the regularised losses of `consensus_gan` on the Dirac-GAN with WGAN's losses",
    tolerance=1e-12,
)
def consensus_on_the_bilinear_game() -> Finding:
    """Eigenvalues as gamma grows."""
    return in_the_plane({f"gamma = {gamma:g}": ([-gamma + 1j, -gamma - 1j], _bilinear(gamma)) for gamma in (0.0, *_GAMMAS)})


@claim(
    place="Convergence theory, bound on the step",
    statement="Steps converge if and only if h < 2 / (|Re| (1 + (Im / Re)^2)) for every eigenvalue.",
    predicted="2 gamma / (gamma^2 + 1); the factor of an update there, 1, and 1 % to either side, |1 + h (-gamma + i)|",
    how="`bench.analysis.game_dynamics` on `consensus_gan` in the bilinear game; the eigenvalues of its plain updates of that size",
    tolerance=1e-6,
)
def largest_step() -> Finding:
    """On both sides of the bound."""
    cases = {}
    for gamma in _GAMMAS:
        bound = 2 * gamma / (gamma**2 + 1)
        cases[f"gamma = {gamma:g}: bound"] = (bound, _bilinear(gamma).largest_step)
        for share in (0.99, 1.0, 1.01):
            one = game.update(game.dirac(f"consensus_gan[{_LINEAR},gamma={gamma}]", step=share * bound))
            factor = float(np.abs(np.linalg.eigvals(game.turn(one))).max())
            cases[f"gamma = {gamma:g}: factor at {share:g}"] = (abs(1 + share * bound * (-gamma + 1j)), factor)
    g = np.linspace(0.01, 4, 100)
    found = [cases[f"gamma = {gamma:g}: bound"][1] for gamma in _GAMMAS]
    marks = [Line(x=g, y=2 * g / (g**2 + 1), label="2 gamma / (gamma² + 1)", theory=True)]
    return Finding(cases, [Panel(marks=[*marks, Points(x=_GAMMAS, y=found, label="measured")], x="gamma", y="largest stable h")])


@claim(
    place="Smooth two-player games, zero-sum",
    statement="In a zero-sum game the players' influences on each other are opposite: that part of the Jacobian is a rotation.",
    predicted="B = -C' for the blocks off the diagonal: |B + C'|^2 / (|B|^2 + |C|^2) is 0",
    how="the exact Jacobian of `gan[adversarial=saturating]` on eight Gaussians after 200 updates; beside it the non-saturating game there",
    tolerance=1e-12,
)
def influences_are_opposite() -> Finding:
    """Blocks of a real game's Jacobian."""
    games = {loss: Game(_trained(f"gan[adversarial={loss}]"), _ring(128, 1)) for loss in ("saturating", "nonsaturating")}
    zero_sum = games["saturating"]
    jacobian, d = zero_sum.jacobian(), zero_sum.sizes[0]
    b, c = jacobian[:d, d:], jacobian[d:, :d]
    share = float((b + c.T).square().sum() / (b.square().sum() + c.square().sum()))
    marks = [_points(g.spectrum(), loss) for loss, g in games.items()]
    return Finding({"": (0.0, share)}, [Panel(marks=marks, x="Re", y="Im", title="Eigenvalues")])


@claim(
    place="Consensus optimisation, convergence",
    statement="At an equilibrium the Jacobian of consensus optimisation is A - gamma A'A, A the game's own.",
    predicted="the eigenvalues of A - gamma A'A by linear algebra, A from `gan`: sums of real parts and of squared imaginary ones",
    how="the spectrum of `consensus_gan` on eight Gaussians, its critic made constant and the data its own samples, so that v = 0",
    tolerance=1e-8,
    relative=True,
)
def consensus_at_an_equilibrium() -> Finding:
    """The eigenvalues of a small network's game, before and after."""
    plain = _equilibrium("gan[adversarial=saturating]")
    a, cases, marks = plain.jacobian(), {}, [_points(plain.spectrum(), "the game")]
    for gamma in _STRENGTHS:
        expected = torch.linalg.eigvals(a - gamma * a.T @ a)
        found = _equilibrium(f"consensus_gan[adversarial=saturating,gamma={gamma}]").spectrum()
        cases[f"gamma = {gamma:g}: Re"] = (float(expected.real.sum()), float(found.eigenvalues.real.sum()))
        cases[f"gamma = {gamma:g}: Im"] = (float(expected.imag.square().sum()), float(found.eigenvalues.imag.square().sum()))
        marks.append(_points(found, f"gamma = {gamma:g}"))
    return Finding(cases, [Panel(marks=marks, x="Re", y="Im", title="Eigenvalues")])


@claim(
    place="Consensus optimisation, convergence",
    statement="The larger gamma, the smaller |Im / Re|: consensus optimisation trades rotation for attraction.",
    predicted="-Re >= gamma Im^2, so |Im / Re| <= 1 / (gamma |Im|): for a unit eigenvector u, Re <= -gamma |A u|^2 and |Im| <= |A u|",
    how="the least of -Re / (gamma Im^2) over the eigenvalues that turn, of `consensus_gan` at the same equilibrium",
    tolerance=1e-6,
    relation=">=",
)
def rotation_is_bounded() -> Finding:
    """All eigenvalues to the left of a parabola."""
    cases, panels = {}, []
    for gamma in _STRENGTHS:
        s = _equilibrium(f"consensus_gan[adversarial=saturating,gamma={gamma}]").spectrum()
        turning = s.moving[s.rotation > 1e-4]
        cases[f"gamma = {gamma:g}"] = (1.0, float((-turning.real / (gamma * turning.imag.square())).min()))
        y = np.linspace(-1.1, 1.1, 100) * float(turning.imag.abs().max())
        parabola = Line(x=-gamma * y**2, y=y, label="Re = -gamma Im²", theory=True)
        panels.append(Panel(marks=[parabola, _points(s, "measured")], x="Re", y="Im", title=f"gamma = {gamma:g}"))
    return Finding(cases, panels)


def _bilinear(gamma: float) -> Spectrum:
    m = game.dirac(f"consensus_gan[{_LINEAR},gamma={gamma}]")
    return spectrum(m, game.batch_of(m))


def _points(s: Spectrum, label: str) -> Points:
    return Points(x=s.moving.real, y=s.moving.imag, label=label)


def _ring(n: int, seed: int) -> Samples:
    """Points of eight Gaussians."""
    return Samples(registry.make("dataset", "ring[std=0.1]").draw(n, torch.Generator().manual_seed(seed)).x.double())


def _game(spec: str) -> Any:
    """A small generator against a small critic, in float64."""
    m = play(spec, MLPGenerator(4, (2,), (12,)).double(), mlp_critic((2,), (12,)).double(), shape=(2,), z_dim=4)
    m.z = lambda n: torch.randn(n, 4, dtype=torch.float64)
    return m


@functools.cache
def _weights() -> tuple[dict[str, Any], dict[str, Any]]:
    """A generator's and a critic's after 200 updates of `gan` on eight Gaussians, always the same."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        m = _game('gan[adversarial=saturating,optimizer="adam[lr=2e-3,betas=(0.5,0.999)]"]')
        for _ in itertools.islice(m.train(_ring(128, i) for i in itertools.count()), 200):
            pass
    return m.G.state_dict(), m.D.state_dict()


def _trained(spec: str) -> Any:
    """A game at those weights."""
    m = _game(spec)
    for network, weights in zip((m.G, m.D), _weights()):
        network.load_state_dict(weights)
    return m


def _equilibrium(spec: str) -> Game:
    """The trained generator against its own samples, with a critic that is 0 everywhere: nobody has anything to gain."""
    m = _trained(spec)
    nn.init.zeros_(m.D.head.weight)
    nn.init.zeros_(m.D.head.bias)
    z = torch.randn(128, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    m.z = lambda n: z
    return Game(m, Samples(m.generate(z).detach()))
