"""Generalization and Equilibrium in Generative Adversarial Nets (GANs)."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, play
from bench.figure import Bars, Line, Mark, Panel, Points
from bench.method import Samples
from methods.networks.backbones import MLPGenerator, mlp_critic

PAPER = Paper(
    title="Generalization and Equilibrium in Generative Adversarial Nets (GANs)",
    authors="Arora, Ge, Liang, Ma, Zhang",
    venue="ICML 2017",
    year=2017,
    arxiv="1703.00573",
    lesson="Training sees a finite sample, never the distribution. To an unlimited critic the two are as far apart as can be, however "
    "large the sample: the Jensen-Shannon divergence is log 2, and in many dimensions every fresh draw lies far from all the samples. "
    "What a critic of bounded size measures does generalise, and fast; but it cannot tell a distribution from a few of its samples.\n\n"
    "Nor need the game have an equilibrium in which each player is one network, as rock, paper, scissors has none. Mixtures of networks "
    "have an approximate one; an entropy term on their weights turns the endless circling of gradient play into a spiral that ends there.",
)


@claim(
    place="Lemma 1",
    statement="Between a distribution with a density and any finite sample of it the Jensen-Shannon divergence is log 2.",
    predicted="log 2",
    how="(log 4 - the critic's loss of `gan`) / 2, a lower bound; data 200 fresh draws of N(0, I/d), fakes copies of 1,000 draws; "
    "the critic says fake within 1e-6 of one of those (`nearest_neighbour`)",
    tolerance=1e-12,
)
def divergence_from_own_samples() -> Finding:
    """JS sees only that the supports are disjoint."""
    cases = {}
    for d in (2, 10, 100):
        sample, fresh = _gaussian(1000, d), _gaussian(200, d)
        m = play("gan", nn.Linear(1, 1), _memory(sample), fake=sample)
        cases[f"d = {d}"] = (math.log(2), (math.log(4) - m.critic_loss(Samples(fresh)).item()) / 2)
    predicted, measured = zip(*cases.values())
    marks = [Bars(names=list(cases), y=predicted, label="log 2", theory=True), Bars(names=list(cases), y=measured, label="measured")]
    return Finding(cases, [Panel(marks=marks, y="JS")])


@claim(
    place="Lemma 1",
    statement="In many dimensions N(0, I/d) lies at Wasserstein distance 1.1 or more from 1,000 of its own samples.",
    predicted="1.1",
    how="the mean distance of 500 fresh draws to the nearest of 1,000 (`nearest_neighbour`), which no transport can undercut",
    tolerance=0.0,
    relation=">=",
)
def transport_from_own_samples() -> Finding:
    """What each fresh draw must at least travel."""
    found = {d: _travel(d, 1000) for d in (2, 5, 10, 30, 100, 300, 1000)}
    marks: list[Mark] = [
        Line(x=list(found), y=[_expected_travel(d, 1000) for d in found], label="expected, by quadrature", theory=True),
        Line(x=[2, 1000], y=[1.1, 1.1], label="1.1"),
        Points(x=list(found), y=list(found.values()), label="measured"),
    ]
    cases = {f"d = {d}": (1.1, found[d]) for d in (100, 300, 1000)}
    return Finding(cases, [Panel(marks=marks, x="dimensions", y="distance to the nearest of 1,000 samples", log="x")])


@claim(
    place="Lemma 1",
    statement="The distance of a fresh draw to the nearest sample grows with the dimension.",
    predicted="E min of m distances, by quadrature over the non-central chi-square law of each",
    how="the mean distance of 500 fresh draws to the nearest of m (`nearest_neighbour`), over 1 to 21 samples",
    tolerance=0.05,
    relative=True,
)
def nearest_sample() -> Finding:
    """The curse of dimension, to the digit."""
    sizes, marks = (30, 300, 3000), list[Mark]()
    cases = {f"d = {d}, m = {m}": (_expected_travel(d, m), _travel(d, m, 1 + 600 // m)) for d in (3, 30, 300) for m in sizes}
    for i, d in enumerate((3, 30, 300)):
        predicted, measured = zip(*list(cases.values())[3 * i : 3 * i + 3])
        marks += [Line(x=sizes, y=predicted, label=f"d = {d}", theory=True), Points(x=sizes, y=measured, label=f"d = {d}, measured")]
    return Finding(cases, [Panel(marks=marks, x="samples m", y="distance to the nearest", log="xy")])


@claim(
    place="Thm. 3.1",
    statement="The distance that a bounded, small critic sees between a distribution and m samples of it vanishes like 1 / sqrt(m).",
    predicted="linear critics of norm 1: sqrt(2 / (d m)) Gamma((d + 1) / 2) / Gamma(d / 2), the mean length of a mean of m N(0, I/d)",
    how="the slope of the critic's loss of `gan[adversarial=wgan]` for a linear critic, d = 400, mean over 8 samples",
    tolerance=0.05,
    relative=True,
)
def small_critics_generalise() -> Finding:
    """The nearest neighbours stay far away meanwhile."""
    d, sizes, cases = 400, (25, 100, 400, 1600), {}
    gamma = math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    for size in sizes:
        cases[f"m = {size}"] = (math.sqrt(2 / (d * size)) * gamma, sum(_linear_distance(size, d) for _ in range(8)) / 8)
    predicted, measured = zip(*cases.values())
    marks: list[Mark] = [
        Line(x=sizes, y=predicted, label="linear critic", theory=True),
        Points(x=sizes, y=measured, label="linear critic, measured"),
        Line(x=sizes, y=[_expected_travel(d, size) for size in sizes], label="nearest sample", theory=True),
    ]
    return Finding(cases, [Panel(marks=marks, x="samples m", y="distance to one's own samples", log="xy")])


@claim(
    place="Sec. 5, R_ent",
    statement="The entropy term -(1/T) sum log w of softmax weights w pulls them to uniform, where it is least.",
    predicted="slope w_i - 1/T in logit i; log T at its least",
    how="`mix_gan`'s entropy of its weights and its gradient, T = 2, 4, 8, logits -1 ... 1",
    tolerance=1e-4,
    deviation="as in the authors' code the logarithm is of w + 1e-6, which moves the slopes by up to 1e-5",
)
def entropy_gradient() -> Finding:
    """Nobody's weight may vanish."""
    cases, panels = {}, []
    for T in (2, 4, 8):
        G = play("mix_gan[players=1]", nn.Linear(1, 1), nn.Linear(1, 1)).G
        G.logits = nn.Parameter(torch.zeros(T, dtype=torch.float64))
        cases[f"T = {T}, least"] = (math.log(T), G.entropy().item())
        logits = [2 * i / (T - 1) - 1 for i in range(T)]
        G.logits.data = torch.tensor(logits, dtype=torch.float64)
        slopes = torch.autograd.grad(G.entropy(), G.logits)[0]
        weights = [math.exp(a) / sum(map(math.exp, logits)) for a in logits]
        cases |= {f"T = {T}, slope {i}": (weights[i] - 1 / T, float(slopes[i])) for i in range(T)}
        theory = Line(x=weights, y=[w - 1 / T for w in weights], label="w - 1/T", theory=True)
        panels.append(Panel(marks=[theory, Points(x=weights, y=slopes, label="measured")], x="weight", y="slope", title=f"T = {T}"))
    return Finding(cases, panels[1:])


@claim(
    place="Sec. 4 and 5",
    statement="Without a pure equilibrium, mixtures spiral away from theirs under simultaneous steps; the entropy term makes them settle.",
    predicted="|eigenvalue| and powers of I + h [[-l S, S A S], [-S A' S, -l S]], S the softmax's Jacobian at uniform weights",
    how="logits of size 1e-6 over 100 steps of h = 0.2 of the losses of `mix_gan[adversarial=wgan]`, constant generators, linear critics",
    tolerance=1e-5,
)
def mixtures_settle() -> Finding:
    """Matching pennies, rock-paper-scissors."""
    pennies, scissors = torch.tensor([[1.0, -1], [-1, 1]]), torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    cases, marks = {}, list[Mark]()
    for name, A, weights in (("pennies", pennies, (0.0, 0.1, 0.5)), ("rock-paper-scissors", scissors, (0.0, 0.1))):
        for weight in weights:
            start = 1e-6 * torch.randn(2, len(A), dtype=torch.float64)
            path = _played(A.double(), weight, start - start.mean(1, keepdim=True), 100)
            growth, end = _linear_play(A.double(), weight, path[0], 100)
            cases[f"{name}, l = {weight:g}: growth"] = (growth, float(path[-1].norm() / path[0].norm()) ** (1 / 100))
            cases[f"{name}, l = {weight:g}: distance from the linear path"] = (0.0, float((path[-1] - end).norm() / path[0].norm()))
    for weight, steps in ((0.0, 120), (0.1, 280)):
        x, y = _played(pennies.double(), weight, torch.tensor([[0.4, -0.4], [0.0, 0.0]], dtype=torch.float64), steps).softmax(2)[:, :, 0].T
        marks.append(Line(x=x, y=y, label=f"l = {weight:g}"))
    marks.append(Points(x=[0.5], y=[0.5], label="equilibrium", theory=True))
    return Finding(
        cases, [Panel(marks=marks, x="weight of the first generator", y="weight of the first critic", title="pennies", square=True)]
    )


@claim(
    place="Sec. 5",
    statement="MIX+GAN with a single generator and a single critic is the plain GAN.",
    predicted="no difference, bit for bit",
    how="10 updates of `mix_gan[players=1]` and of `gan` on the same numbers: the largest difference of a parameter and of 16 samples",
)
def one_player_a_side() -> Finding:
    """The frame adds nothing by itself."""
    G, D, data = MLPGenerator(2, (2,), (16,)), mlp_critic((2,), (16,)), [Samples(torch.randn(32, 2)) for _ in range(10)]
    results = []
    for name in ("gan[", "mix_gan[players=1,"):
        m = play(f'{name}steps=10,batch_size=32,optimizer="adam[lr=1e-2]"]', copy.deepcopy(G), copy.deepcopy(D), shape=(2,), z_dim=2)
        torch.manual_seed(1)
        losses = [float(logs["critic"]) for logs in m.train(itertools.cycle(data))]
        parameters = [torch.cat([p.detach().flatten() for k, p in n.named_parameters() if k != "logits"]) for n in (m.G, m.D)]
        results.append((torch.cat(parameters), m.sample(16), losses))
    (a, x, plain), (b, y, mixed) = results
    still = a.equal(torch.cat([p.detach().flatten() for n in (G, D) for p in n.parameters()]))
    cases = {
        "parameters": (0.0, float((a - b).abs().max())),
        "samples": (0.0, float((x - y).abs().max())),
        "stood still": (0.0, float(still)),
    }
    theory, found = Line(x=range(10), y=plain, label="gan", theory=True), Points(x=range(10), y=mixed, label="mix_gan, one player a side")
    return Finding(cases, [Panel(marks=[theory, found], x="update", y="critic's loss")])


def _gaussian(n: int, d: int) -> Tensor:
    """N draws of N(0, I/d)."""
    return torch.randn(n, d, dtype=torch.float64) / math.sqrt(d)


def _linear_distance(m: int, d: int) -> float:
    """The most that a linear critic of norm 1 sees between N(0, I/d) and m draws of it: the slope of its loss."""
    D = nn.Sequential(nn.Linear(d, 1, bias=False, dtype=torch.float64), nn.Flatten(0))
    loss = play("gan[adversarial=wgan]", nn.Linear(1, 1), D, fake=_gaussian(m, d)).critic_loss(
        Samples(torch.zeros(1, d, dtype=torch.float64))
    )
    return float(torch.autograd.grad(loss, list(D.parameters()))[0].norm())  # of the data it sees the mean alone, which is 0


def _memory(sample: Tensor) -> Known:
    """A critic that knows a sample by heart: -40 within 1e-6 of it, 40 elsewhere."""
    nearest = registry.make("metric", "nearest_neighbour").nearest
    return Known(lambda x: torch.where(nearest(x, sample)[0] < 1e-6, -40.0, 40.0))


def _travel(d: int, m: int, sets: int = 1) -> float:
    """The mean distance of 500 fresh draws to the nearest of m, over several sets of those."""
    nearest = registry.make("metric", "nearest_neighbour").nearest
    return sum(float(nearest(_gaussian(500, d), _gaussian(m, d))[0].mean()) for _ in range(sets)) / sets


def _expected_travel(d: int, m: int) -> float:
    """Its expectation, the integral of P(distance > x)^m: d times the squared distance is non-central chi-square given the fresh draw."""
    from scipy.stats import chi2, ncx2

    squares = chi2.ppf((np.arange(32) + 0.5) / 32, d) / d
    x = np.linspace(0, 3, 301)
    farther = ncx2.sf(d * x[:, None] ** 2, d, d * squares) ** m
    return float(np.trapezoid(farther.mean(1), x))


def _played(A: Tensor, entropy: float, logits: Tensor, steps: int) -> Tensor:
    """The logits of both players at every simultaneous step of 0.2, critic j paying A_ij to generator i: steps + 1 x 2 x T."""
    generators: list[nn.Module] = [_constant(row) for row in torch.eye(len(A), dtype=A.dtype)]
    critics: list[nn.Module] = [Known(functools.partial(torch.mv, vec=column)) for column in A.T]
    m: Any = play(f"mix_gan[players={len(A)},entropy={entropy},adversarial=wgan]", generators, critics, shape=(len(A),))
    weights, real, path = (m.G.double().logits, m.D.double().logits), Samples(torch.zeros_like(A[:1])), [logits]
    for _ in range(steps):
        for w, value in zip(weights, path[-1]):
            w.data.copy_(value)
        slopes = [torch.autograd.grad(loss(real), w)[0] for loss, w in zip((m.generator_loss, m.critic_loss), weights)]
        path.append(path[-1] - 0.2 * torch.stack(slopes))
    return torch.stack(path)


def _constant(sample: Tensor) -> Known:
    """A generator of nothing else."""
    return Known(lambda z: sample.expand(len(z), -1))


def _linear_play(A: Tensor, entropy: float, logits: Tensor, steps: int) -> tuple[float, Tensor]:
    """The largest modulus of a step's eigenvalues (but for those of 1, which shift a player) near uniform weights; the logits then."""
    T = len(A)
    S = (torch.eye(T) - 1 / T).to(A) / T
    slopes = torch.cat([torch.cat([-entropy * S, S @ A @ S], 1), torch.cat([-S @ A.T @ S, -entropy * S], 1)])
    step = torch.eye(2 * T).to(A) + 0.2 * slopes
    eigenvalues = torch.linalg.eigvals(step)
    growth = float(eigenvalues[(eigenvalues - 1).abs() > 1e-9].abs().max())
    return growth, (torch.linalg.matrix_power(step, steps) @ logits.flatten()).view_as(logits)
