"""Wasserstein GAN."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, play, quantiles
from bench.figure import Arrows, Line, Panel, Points
from bench.method import Samples
from methods.networks.backbones import mlp_critic
from methods.penalties import gradient_norm

PAPER = Paper(
    title="Wasserstein GAN",
    authors="Arjovsky, Chintala, Bottou",
    venue="ICML 2017",
    year=2017,
    arxiv="1701.07875",
    lesson="How far is one distribution from another? Where they do not overlap, the divergences of Jensen-Shannon and Kullback-Leibler "
    "give the same answer at any distance, and a generator cannot descend them. The Wasserstein distance is the least work of moving one "
    "onto the other: it is continuous in the generator's parameters and has a gradient wherever the samples are.\n\n"
    "It is also a game, whose critic seeks the largest difference of means among functions of slope 1 at most. Clipping the critic's "
    "weights keeps it Lipschitz, at the price of an estimate in units that the clip and the architecture set.",
)

_SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0)


@claim(
    place="Example 1, Fig. 1",
    statement="Two parallel lines at a distance: only the Wasserstein distance sees how far apart they are.",
    predicted="W = |theta|; for theta != 0: JS = log 2, KL infinite, TV = 1; for theta = 0 all are 0",
    how="W: a linear critic of `wgan[adversarial=wgan[clip=1]]` trained by its own loop; the others: the critics' losses of `gan`, `fgan` "
    "at D*; 256 points of each line",
    tolerance=1e-6,
)
def parallel_lines() -> Finding:
    """One distance of four."""
    cases: dict[str, tuple[float, float]] = {}
    for theta in _SHIFTS:
        real, fake, apart = Samples(_line(0.0)), _line(theta), math.inf if theta else 0.0
        kl = play("fgan[divergence=kl]", nn.Linear(1, 1), _log_odds(apart, 1.0), fake=fake)
        tv = play("fgan[divergence=tv]", nn.Linear(1, 1), _log_odds(apart), fake=fake)
        found = {"W": _clipped_gain(nn.Linear(2, 1, dtype=torch.float64), real, fake, 1.0)}
        found["JS"] = (math.log(4) - play("gan", nn.Linear(1, 1), _log_odds(apart), fake=fake).critic_loss(real).item()) / 2
        found |= {"KL": -kl.losses(real)[0].item(), "TV": -tv.losses(real)[0].item()}
        told = {"W": abs(theta), "JS": math.log(2), "KL": math.inf, "TV": 1.0} if theta else dict.fromkeys(found, 0.0)
        cases |= {f"{name}, theta = {theta:g}": (told[name], value) for name, value in found.items()}
    panels = []
    for name in ("W", "JS"):
        predicted, measured = zip(*(cases[f"{name}, theta = {theta:g}"] for theta in _SHIFTS))
        curve = Line(x=_SHIFTS, y=predicted if name == "W" else [math.log(2)] * 5, theory=True)
        panels.append(Panel(marks=[curve, Points(x=_SHIFTS, y=measured)], x="theta", y=name))
    return Finding(cases, panels)


@claim(
    place="Eq. 2, Thm. 3",
    statement="With the best 1-Lipschitz critic the loss is the distance, and the generator's gradient is the distance's.",
    predicted="W = the integral of |F_real - F_fake| and its derivatives by mean and deviation, by quadrature",
    how="the losses of `wgan` with the critic of slope sign(F_fake - F_real); real N(0, 1), fake mean + deviation z, 50,000 quantiles",
    tolerance=1e-3,
)
def gradient_of_the_distance() -> Finding:
    """Descending the critic is descending W."""
    cases: dict[str, tuple[float, float]] = {}
    field = []
    for mean, std in ((1.0, 0.5), (1.0, 2.0), (-0.5, 1.5), (3.0, 1.0), (0.0, 0.25)):
        place = torch.tensor([mean, std], dtype=torch.float64, requires_grad=True)
        distance = _distance(place)
        fake = (place[0] + place[1] * quantiles(50_000))[:, None]
        m = play("wgan", nn.Linear(1, 1), Known(_potential(mean, std)), fake=fake)
        gain = -m.critic_loss(Samples(quantiles(50_000)[:, None]))
        (told,), (seen,) = (torch.autograd.grad(y, place) for y in (distance, m.generator_loss(Samples(fake))))
        label = f"N({mean:g}, {std:g}^2)"
        cases[f"W, {label}"] = (distance.item(), gain.item())
        cases |= {f"dW / d{axis}, {label}": (float(a), float(b)) for axis, a, b in zip(("mean", "deviation"), told, seen)}
        field.append((mean, std, -float(seen[0]) / 4, -float(seen[1]) / 4))
    x, y, u, v = zip(*field)
    points = [Points(x=[0], y=[1], label="data", theory=True), Points(x=x, y=y, label="fakes")]
    return Finding(cases, [Panel(marks=[*points, Arrows(x=x, y=y, u=u, v=v)], x="mean", y="deviation", title="a step of the generator")])


@claim(
    place="Sec. 3, Eq. 3",
    statement="Clipping at c keeps the critic K-Lipschitz for a K of the clip and the architecture, and it measures K W.",
    predicted="c |theta| for a linear critic; c^2 h |theta| for h = 8 hidden units",
    how="the gain of line critics that the loop of `wgan[adversarial=wgan[clip=c]]` trained from positive weights, real 1 + theta, fake 1",
    tolerance=1e-5,
    relative=True,
)
def clipping_sets_the_scale() -> Finding:
    """Distances in units of the clip."""
    clips = (0.01, 0.1, 1.0)
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    fake = torch.ones(1, 1, dtype=torch.float64)
    for hidden, label in ((0, "linear"), (8, "8 hidden units")):
        for theta in (0.5, 2.0):
            pairs = []
            for c in clips:
                layers = [nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1)] if hidden else [nn.Linear(1, 1)]
                D = nn.Sequential(*layers).double()
                for p in D.parameters():
                    nn.init.uniform_(p, 0, c)  # no dead units
                pairs.append((c**2 * hidden * theta if hidden else c * theta, _clipped_gain(D, Samples(fake + theta), fake, c)))
            cases |= {f"{label}, c = {c:g}, theta = {theta:g}": pair for c, pair in zip(clips, pairs)}
        predicted, measured = zip(*pairs)
        marks += [Line(x=clips, y=predicted, label=label, theory=True), Points(x=clips, y=measured, label=f"{label}, measured")]
    return Finding(cases, [Panel(marks=marks, x="c", y="gain at theta = 2", log="xy")])


@claim(
    place="Sec. 3, Algorithm 1",
    statement="A clipped critic is Lipschitz whatever it has learnt: its slope stays below a constant of the clip and the widths.",
    predicted="the product of c sqrt(rows columns) over the layers, the largest norm of a clipped matrix",
    how="the largest slope at 1,000 points of a critic 2-16-16-1 after 20 critic steps by the loop of `wgan` on `ring`, `rmsprop[lr=0.01]`",
    relation="<=",
)
def clipped_critic_is_lipschitz() -> Finding:
    """A bound on every slope."""
    clips, cases, where = (0.01, 0.03, 0.1, 0.3), {}, 4 * torch.rand(1000, 2) - 2
    ring, rng = registry.make("dataset", "ring"), torch.Generator().manual_seed(0)
    for c in clips:
        spec = f"wgan[steps=1,n_long=20,optimizer=rmsprop[lr=0.01],adversarial=wgan[clip={c}]]"
        m = play(spec, nn.Linear(2, 2), mlp_critic((2,), (16, 16)), shape=(2,), z_dim=2)
        next(m.train(iter(lambda: ring.draw(64, rng), None)))
        bound = math.prod(c * math.sqrt(p.numel()) for p in m.D.parameters() if p.dim() == 2)
        cases[f"c = {c:g}"] = (bound, gradient_norm(m.D, where).max().item())
    predicted, measured = zip(*cases.values())
    bound_on, seen = Line(x=clips, y=predicted, label="bound", theory=True), Points(x=clips, y=measured, label="largest slope seen")
    return Finding(cases, [Panel(marks=[bound_on, seen], x="c", y="slope", log="xy")])


@claim(
    place="Sec. 3, Algorithm 1",
    statement="Clipping stops the critic at its limits, not the game: two points chase each other on the largest ellipse that fits.",
    predicted="theta^2 + psi^2 - h theta psi, which alternating steps of h keep, at 1 - h^2 / 4, where its ellipse touches |psi| = c = 1",
    how="`wgan[adversarial=wgan[clip=1],n_critic=1,optimizer=sgd[lr=0.2]]`, D(x) = psi x, real 0, fake theta, last 100 of 500 from (1, 1)",
    tolerance=5e-3,
)
def clipped_game_circles() -> Finding:
    """No rest with clipping."""
    G, D, h = Known(lambda z: 0 * z.double()), nn.Linear(1, 1, bias=False, dtype=torch.float64), 0.2
    for p in (G.bias, D.weight):
        nn.init.ones_(p)
    m = play(f"wgan[adversarial=wgan[clip=1],n_critic=1,n_long=1,steps=500,optimizer=sgd[lr={h}]]", G, D)
    real = Samples(torch.zeros(1, 1, dtype=torch.float64))
    path = [(G.bias.item(), D.weight.item()) for _ in m.train(itertools.repeat(real))]
    level = [a**2 + b**2 - h * a * b for a, b in path]
    angle = torch.linspace(0, 2 * math.pi, 200, dtype=torch.float64)
    radius = ((1 - h**2 / 4) / (1 - h * angle.sin() * angle.cos())).sqrt()
    x, y = zip(*path)
    ellipse = Line(x=radius * angle.cos(), y=radius * angle.sin(), label="ellipse", theory=True)
    first, last = Line(x=x[:60], y=y[:60], label="first updates"), Points(x=x[-100:], y=y[-100:], label="last updates")
    cases = {name: (1 - h**2 / 4, pick(level[-100:])) for name, pick in (("least", min), ("largest", max))}
    return Finding(cases, [Panel(marks=[ellipse, first, last], x="theta", y="psi", square=True)])


def _line(theta: float) -> Tensor:
    """The line (theta, y), y in [0, 1]; 256 points."""
    y = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    return torch.stack((torch.full_like(y, theta), y), 1)


def _log_odds(apart: float, offset: float = 0.0) -> Known:
    """The critic offset + log p / q of two lines, the real one at 0: +-apart."""
    return Known(lambda x: offset + torch.where(x[:, 0] == 0, apart, -apart).double())


def _clipped_gain(D: nn.Module, real: Samples, fake: Tensor, c: float) -> float:
    """E D(real) - E D(fake) of that critic after 100 critic steps of WGAN's own loop."""
    spec = f"wgan[steps=1,n_long=100,optimizer=rmsprop[lr={c / 10}],adversarial=wgan[clip={c}]]"
    m = play(spec, nn.Linear(1, 1), D, fake=fake)
    next(m.train(itertools.repeat(real)))
    with torch.no_grad():
        return float(m.D(real.x).mean() - m.D(fake).mean())


def _distance(place: Tensor) -> Tensor:
    """W of N(0, 1) and N(mean, deviation^2): the area between their distribution functions."""
    x = torch.linspace(-16, 16, 100_000, dtype=torch.float64)
    return torch.trapezoid((torch.special.ndtr(x) - torch.special.ndtr((x - place[0]) / place[1])).abs(), x)


def _potential(mean: float, std: float) -> Callable[[Tensor], Tensor]:
    """The best critic of N(0, 1) against N(mean, std^2): its slope is the sign of F_fake - F_real, which cross once at most."""
    if std == 1:
        return lambda x: -math.copysign(1, mean) * x[:, 0]
    return lambda x: math.copysign(1, 1 - std) * (x[:, 0] - mean / (1 - std)).abs()
