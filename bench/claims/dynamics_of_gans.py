"""Towards Understanding the Dynamics of Generative Adversarial Networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.claim import Finding, Paper, claim
from bench.claims._interval_game import DATA, RATE, STARTS, Rows, best_edges, excess, game, rows, total_variation
from bench.figure import Bars, Line, Mark, Panel, Points
from bench.method import Samples
from methods.procedures import descend

PAPER = Paper(
    title="Towards Understanding the Dynamics of Generative Adversarial Networks",
    authors="Li, Madry, Peebles, Schmidt",
    venue="arXiv 2017; ICML 2018 as On the Limitations of First-Order Approximation in GAN Dynamics",
    year=2017,
    arxiv="1706.09884",
    lesson="The smallest game that goes wrong as real ones do: data and samples are mixtures of two Gaussians, the critic marks two "
    "intervals of the line, and all expectations are known. The best critic's value is one plus the total variation distance; a generator "
    "that always answers the best critic finds the data.\n\n"
    "A critic that only follows its gradient often does not get there. Its intervals shrink to nothing, merge, or grow until they cover "
    "the whole line: then it sees no difference, and the generator, whose two modes have run together, learns no more.",
)


@claim(
    place="the model: the best critic's value",
    statement="Over all pairs of intervals the value L = E_data D + E_samples (1 - D) is largest at one plus the total variation distance.",
    predicted="1 + TV, by quadrature of the densities",
    how="one minus the critic's loss of `unrolled_gan[k=0]` on the adversarial loss `wgan`, after 400 critic steps from both sides",
    tolerance=2e-6,
)
def best_critic() -> Finding:
    """The largest value is a distance."""
    spread = [0.0, 0.2, 0.4, 0.6, 0.8]
    means = rows([(-s, s) for s in spread])
    predicted, edges = 1 + total_variation(means), _ascend(means, [(-8.0, -2.0, 2.0, 8.0)] * len(spread))[-1]
    cases = {f"means -{s:g} and {s:g}": (float(p), _value(m, e)) for s, p, m, e in zip(spread, predicted, means, edges)}
    measured = [value for _, value in cases.values()]
    marks: list[Mark] = [Line(x=spread, y=predicted, label="1 + TV", theory=True), Points(x=spread, y=measured, label="largest L found")]
    return Finding(cases, [Panel(marks=marks, x="the samples' means are plus and minus", y="L")])


@claim(
    place="the model: gradients",
    statement="The slopes of L are differences of densities: for a mean of N(mu, 1) at the edges, for an edge of the mixtures there.",
    predicted="dL/dmu = -1/2 sum of phi(l - mu) - phi(r - mu), dL/dr = data(r) - samples(r), dL/dl = -(data(l) - samples(l))",
    how="automatic differentiation of both losses of `unrolled_gan[k=0]` on the adversarial loss `wgan`, at two starts",
    tolerance=1e-9,
)
def gradients() -> Finding:
    """Closed forms against automatic differentiation."""
    cases, panels, names = dict[str, tuple[float, float]](), [], ["mu 1", "mu 2", "l 1", "r 1", "l 2", "r 2"]
    for start in ("(2, 3)", "(-1, 2.5)"):
        means, edges = STARTS[start]
        m, batch = game([means], [edges])
        (by_edge,) = torch.autograd.grad(m.critic_loss_on(batch, m.G.means), m.D.edges)
        (by_mean,) = torch.autograd.grad(m.generator_loss_on(batch, m.G.means), m.G.means)
        predicted, measured = _slopes(means, edges), torch.cat([by_mean[0], -by_edge[0]])
        cases |= {f"means {start}: {name}": (p, float(v)) for name, p, v in zip(names, predicted, measured)}
        bars = [Bars(names=names, y=predicted, label="closed form", theory=True), Bars(names=names, y=measured, label="by autodiff")]
        panels.append(Panel(marks=bars, y="slope of L", title=f"means {start}"))
    return Finding(cases, panels)


@claim(
    place="the dynamics of a first-order critic",
    statement="Both players step at once along these slopes, the generator down and the critic up; edges that cross are put back in order.",
    predicted="200 steps of 0.1 along the closed forms, the edges ordered by isotonic regression",
    how="the means after as many updates of `unrolled_gan[k=0]` on the adversarial loss `wgan` with `sgd[lr=0.1]`",
    tolerance=1e-9,
)
def first_order_steps() -> Finding:
    """The trained game against the recursion."""
    from scipy.optimize import isotonic_regression

    m, batch = game(*zip(*STARTS.values()), steps=200)
    paths = torch.stack([m.G.means.detach().clone() for _ in m.train(itertools.repeat(batch))])
    cases, marks = dict[str, tuple[float, float]](), list[Mark]()
    for k, (start, (means, edges)) in enumerate(STARTS.items()):
        way: list[Sequence[float]] = []
        for _ in range(200):
            slopes = _slopes(means, edges)
            means = (means[0] - RATE * slopes[0], means[1] - RATE * slopes[1])
            edges = tuple(isotonic_regression([edge + RATE * slope for edge, slope in zip(edges, slopes[2:])]).x)
            way.append(means)
        cases |= {f"from {start}: mean {i + 1}": (means[i], float(paths[-1, k, i])) for i in range(2)}
        x, y = zip(*way[::10])
        marks += [Points(x=x, y=y, theory=True), Line(x=paths[::2, k, 0], y=paths[::2, k, 1], label=f"from {start}")]
    return Finding(cases, [Panel(marks=marks, x="mean 1", y="mean 2", square=True)])


@claim(
    place="critic collapse",
    statement="A critic that follows its gradient can end in a local maximum: an interval where samples exceed data shrinks to nothing, "
    "and two on the same side merge.",
    predicted="from both sides 1 + TV; from one side 1 + TV / 2, its other half unseen; from between the modes 1: it sees nothing",
    how="as for the best critic, against a generator with means -0.3 and 0.3",
    tolerance=2e-6,
)
def critic_collapse() -> Finding:
    """Local maxima of the critic."""
    means = rows([(-0.3, 0.3)] * 3)
    starts = {"both sides": (-8.0, -2.0, 2.0, 8.0), "one side": (2.0, 3.0, 4.0, 8.0), "between": (-0.6, -0.4, 0.4, 0.6)}
    tv, path = float(total_variation(means)[0]), _ascend(means, list(starts.values()))
    cases, marks = {}, []
    for k, (name, predicted) in enumerate(zip(starts, (1 + tv, 1 + tv / 2, 1.0))):
        cases[f"from {name}"] = (predicted, _value(means[k], path[-1, k]))
        values = [_value(means[k], edges) for edges in path[:100:4, k]]
        marks += [Line(x=[0, 96], y=[predicted] * 2, theory=True), Line(x=range(0, 100, 4), y=values, label=f"from {name}")]
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    density = Panel(marks=[Line(x=x, y=excess(means[:1], x)[0])], x="x", y="data's density less the samples'")
    return Finding(cases, [density, Panel(marks=marks, x="critic's step", y="L")])


@claim(
    place="main theorem: the best critic",
    statement="A generator that descends L under the best critic of every step reaches the data from any start.",
    predicted="total variation of at most what steps of 0.1 leave: 0.1 / (4 pi), the step times the square of the distance's largest slope",
    how="its largest over the last 100 of 500 generator steps of `unrolled_gan[k=0]` on the loss `wgan`, the best edges before each",
    relation="<=",
)
def best_critic_leads_to_the_data() -> Finding:
    """From five starts."""
    starts = [(2.0, 3.0), (-1.0, 2.5), (0.0, 0.5), (-2.5, 2.5), (-2.5, 0.0)]
    path = _answer_the_best(game(starts, [(0.0,) * 4] * 5)[0], 500)
    distance = torch.stack([total_variation(means) for means in path[::5]])
    names = [f"from ({a:g}, {b:g})" for a, b in starts]
    cases = {name: (RATE / (4 * math.pi), float(worst)) for name, worst in zip(names, distance[-20:].amax(0))}
    ways = [Line(x=path[::2, k, 0], y=path[::2, k, 1], label=name) for k, name in enumerate(names)]
    goal = Points(x=[-1.0], y=[1.0], label="data", theory=True)
    decay = [Line(x=range(0, 500, 5), y=distance[:, k], label=name) for k, name in enumerate(names)]
    bound = Line(x=[0, 499], y=[RATE / (4 * math.pi)] * 2, label="0.1 / (4 pi)", theory=True)
    return Finding(
        cases, [Panel(marks=[goal, *ways], x="mean 1", y="mean 2", square=True), Panel(marks=[bound, *decay], x="step", y="TV", log="y")]
    )


@claim(
    place="the dynamics of a first-order critic: mode collapse",
    statement="Under a first-order critic both modes can run together, and the critic then covers the line or nothing: nobody learns.",
    predicted="a total variation of at least that of the best single Gaussian, N(0, 1), from the data",
    how="after 4,000 updates of `unrolled_gan[k=0]` on the loss `wgan` with `sgd[lr=0.1]`, from the four starts without symmetry",
    tolerance=0.01,
    relation=">=",
    cost="slow",
)
def first_order_critic_goes_blind() -> Finding:
    """Four starts that end with one mode; a symmetric one that does not."""
    m, batch = game(*zip(*STARTS.values()), steps=4000)
    path, value = [], []
    for k, _ in enumerate(m.train(itertools.repeat(batch))):
        if k % 20 == 0:
            path.append(m.G.means.detach().clone())
            value.append((m.D(batch.x) - m.D(m.G.means)).detach().mean(1))
    least = float(total_variation(rows([(0.0, 0.0)])))
    distance = torch.stack([total_variation(means) for means in path])
    cases = {f"from {start}": (least, float(tv)) for start, tv in list(zip(STARTS, distance[-1]))[:4]}
    steps, advantage = range(0, 4000, 20), torch.stack(value)
    panels = []
    for name, curve in (("TV", distance), ("L - 1, what the critic sees", advantage)):
        lines = [Line(x=steps, y=curve[:, k], label=f"from {start}") for k, start in enumerate(STARTS)]
        bound = [Line(x=[0, 3980], y=[least] * 2, label="one Gaussian", theory=True)] if name == "TV" else []
        panels.append(Panel(marks=[*bound, *lines], x="update", y=name))
    return Finding(cases, panels)


@claim(
    place="main theorem and experiments: random starts",
    statement="From random starts the best critic always leads to the data; a first-order critic does not from a constant share of them.",
    predicted="share 1 for the best critic; for the first-order one some positive share fails, of which at least a half is asked here",
    how="100 starts, means uniform in (-3, 3), edges in (-4, 4), seed 0; 400 steps with the best critic, 3,000 updates of "
    "`unrolled_gan[k=0]`; success is a total variation below 0.1",
    relation=">=",
    cost="slow",
)
def random_starts() -> Finding:
    """How often each finds the data."""
    means, edges = 6 * torch.rand(100, 2, dtype=torch.float64) - 3, (8 * torch.rand(100, 4, dtype=torch.float64) - 4).sort(1).values
    best = total_variation(_answer_the_best(game(means, edges)[0], 400)[-1])
    m, batch = game(means, edges, steps=3000)
    for _ in m.train(itertools.repeat(batch)):
        pass
    first_order = total_variation(m.G.means)
    cases = {
        "best critic: share that succeeds": (1.0, float((best < 0.1).double().mean())),
        "first-order critic: share that fails": (0.5, float((first_order >= 0.1).double().mean())),
    }
    share = (torch.arange(100) + 0.5) / 100
    curves = [Line(x=share, y=tv.sort().values, label=name) for name, tv in (("best critic", best), ("first-order critic", first_order))]
    success = Line(x=[0, 1], y=[0.1, 0.1], label="success is below", theory=True)
    return Finding(cases, [Panel(marks=[success, *curves], x="share of the starts", y="at most this TV at the end")])


def _ascend(means: Rows, edges: Rows) -> Tensor:
    """The edges along 400 critic steps against fixed generators: 401 x S x 4."""
    m, batch = game(means, edges, rate=5.0)
    path = [rows(edges)]
    for _ in range(400):
        descend(m.opt_d, m.critic_loss_on(batch, m.G.means.detach()))
        path.append(m.D.edges.detach().clone())
    return torch.stack(path)


def _value(means: Tensor, edges: Tensor) -> float:
    """L = 1 - critic's loss, of one start."""
    m, batch = game(means[None], edges[None])
    return 1 - float(m.critic_loss_on(batch, m.G.means).detach())


def _answer_the_best(m: Any, steps: int) -> Tensor:
    """The means of generators under the best critic of every step: steps x S x 2."""
    path = []
    for _ in range(steps):
        m.D.edges.data.copy_(best_edges(m.G.means))
        descend(m.opt_g, m.generator_loss_on(Samples(rows([DATA])), m.G.means))
        path.append(m.G.means.detach().clone())
    return torch.stack(path)


def _slopes(means: Sequence[float], edges: Sequence[float]) -> list[float]:
    """The slopes of L by the means and by the edges, in closed form."""

    def bell(x: float, mean: float) -> float:
        return math.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)

    by_mean = [-sum((-1) ** k * bell(edge, mean) for k, edge in enumerate(edges)) / 2 for mean in means]
    by_edge = [-((-1) ** k) * sum(bell(edge, d) - bell(edge, mean) for d, mean in zip(DATA, means)) / 2 for k, edge in enumerate(edges)]
    return by_mean + by_edge
