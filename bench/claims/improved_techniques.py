"""Improved Techniques for Training GANs."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, TableCritic, atoms, evenly, minimise, play, quantiles, rate
from bench.figure import Arrows, Bars, Line, Mark, Panel, Points
from bench.method import Samples
from methods.networks.backbones import Critic

PAPER = Paper(
    title="Improved Techniques for Training GANs",
    authors="Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen",
    venue="NIPS 2016",
    year=2016,
    arxiv="1606.03498",
    lesson="Gradient descent minimises costs; a GAN seeks an equilibrium. Each technique repairs one way in which the two differ. Feature "
    "matching gives the generator a goal that stands still where the data's statistics are met. Minibatch discrimination lets the critic "
    "see that samples are alike. Historical averaging pulls orbits around an equilibrium into it. One-sided label smoothing keeps the "
    "critic from being certain, virtual batch normalisation keeps samples independent of each other.\n\n"
    "A classifier of K classes is a critic as well: the class 'generated' costs it no parameter, for its logit may be fixed at 0. And a "
    "classifier scores samples: each should be certain, all together varied.",
)


@claim(
    place="Sec. 3.1",
    statement="Feature matching is at rest wherever the means of the features agree, whatever else differs.",
    predicted="with features x and x^2, data N(0, 1): loss mu^2 + e^2, slopes 2 mu + 4 mu e and 4 sigma e, e = mu^2 + sigma^2 - 1",
    how="the generator's loss of `feature_matching_gan` and its gradient, for 20,000 quantiles of N(mu, sigma^2) and a coin mu +- sigma",
    tolerance=1e-3,
)
def feature_matching() -> Finding:
    """A goal that stands still."""
    normal, coin = quantiles(20_000)[:, None], torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    cases: dict[str, tuple[float, float]] = {}
    for name, unit, mu, sigma in (("N", normal, 0.5, 1.2), ("N", normal, -1.0, 0.5), ("N", normal, 0.0, 1.0), ("coin", coin, 0.0, 1.0)):
        e = mu**2 + sigma**2 - 1
        pairs = zip((mu**2 + e**2, 2 * mu + 4 * mu * e, 4 * sigma * e), _matching(unit, mu, sigma))
        cases |= {f"{name} at ({mu:g}, {sigma:g}): {what}": pair for what, pair in zip(("loss", "d / d mu", "d / d sigma"), pairs)}
    x, y = zip(*itertools.product([k / 4 for k in range(-6, 7)], [k / 4 for k in range(1, 9)]))
    _, u, v = zip(*[_matching(normal[::100], mu, sigma) for mu, sigma in zip(x, y)])
    field, rest = Arrows(x=x, y=y, u=[-a for a in u], v=[-b for b in v]), Points(x=[0], y=[1], label="the data's moments", theory=True)
    return Finding(cases, [Panel(marks=[field, rest], x="mu", y="sigma", title="descent of the generator's loss")])


@claim(
    place="Sec. 3.2",
    statement="Minibatch features o = sum of exp(-|M_i - M_j|_1) tell a collapsed batch from a varied one.",
    predicted="n points at distance d on a line, kernel of slope h, r = exp(-h d): (r - r^(i+1) + r - r^(n-i)) / (1 - r) at point i = 0 "
    "... n - 1; n - 1 if all are the same",
    how="the statistics in the critic's head of `minibatch_discrimination_gan`, three kernels of five dimensions, n = 8",
    tolerance=1e-9,
    deviation="the paper's sum counts each sample as close to itself, a constant 1 that the authors' code and this project leave out",
)
def minibatch_features() -> Finding:
    """Collapse, seen."""
    n, slopes, cases = 8, (0.5, 1.0, 3.0), {}
    m = play("minibatch_discrimination_gan[kernels=3,kernel_dim=5]", nn.Linear(1, 1), Critic(nn.Identity(), 1))
    signs = torch.tensor([1.0, -1, 1, -1, 1], dtype=torch.float64)
    m.D.double().head.T.weight.data = torch.cat([signs * h / 5 for h in slopes])[:, None]  # |M_i - M_j|_1 = h |f_i - f_j|
    line = torch.arange(n, dtype=torch.float64)[:, None]
    for d, (b, h), i in itertools.product((0.0, 0.1, 1.0), enumerate(slopes), (0, 3)):
        cases[f"d = {d:g}, h = {h:g}, point {i}"] = (_closeness(d * h, i, n), m.D.head.closeness(d * line)[i, b].item())
    spread, marks = [10 ** (k / 5) for k in range(-15, 11)], list[Mark]()
    found = torch.stack([m.D.head.closeness(d * line)[3].detach() for d in spread])
    for h, y in zip(slopes, found.T):
        marks += [Line(x=spread, y=[_closeness(d * h, 3, n) for d in spread], label=f"h = {h:g}", theory=True), Points(x=spread, y=y)]
    return Finding(cases, [Panel(marks=marks, x="distance between neighbours", y="closeness o of point 3", log="x")])


@claim(
    place="Sec. 3.3",
    statement="On (x - 1)(y - 1) gradient descent goes round the equilibrium for ever.",
    predicted="a^2 + b^2 - h a b of a = x - 1, b = y - 1 stays as it was: the orbit is an ellipse",
    how="`historical_averaging_gan[weight=0]` from (3, 3), 150 plain updates of h = 0.1, one player after the other",
    tolerance=1e-9,
)
def descent_goes_round() -> Finding:
    """An extended orbit."""
    path = _bilinear(0.0, 0.1, 150)
    a, b = path.T
    quantity = a**2 + b**2 - 0.1 * a * b
    cases = {name: (float(quantity[0]), float(extreme)) for name, extreme in (("largest", quantity.max()), ("smallest", quantity.min()))}
    orbit, rest = Line(x=a + 1, y=b + 1, label="weight 0"), Points(x=[1], y=[1], label="equilibrium", theory=True)
    return Finding(cases, [Panel(marks=[orbit, rest], x="x", y="y", square=True)])


@claim(
    place="Sec. 3.3",
    statement="Historical averaging finds the equilibrium of that game.",
    predicted="distance ~ t^-p, p = 1 / (1 + 4 l^2), the slow solution of u' = i u - 2 l (u - m), m' = (u - m) / t, l the term's weight",
    how="minus the slope of log distance over log t between updates 150 and 300 of `historical_averaging_gan` from (3, 3), steps of 0.4",
    tolerance=0.02,
    deviation="the paper gives the term no weight, which is l = 1; smaller ones lead home sooner",
)
def historical_averaging() -> Finding:
    """Slowly home."""
    cases, orbits = {}, []
    decays: list[Mark] = []
    t, shown = torch.arange(1, 302), torch.logspace(0, math.log10(300), 60).long()
    late = t[shown][-25:]
    for weight in (0.25, 0.5, 1.0):
        path, power = _bilinear(weight, 0.4, 300), 1 / (1 + 4 * weight**2)
        distance = path.norm(dim=1)
        cases[f"l = {weight:g}"] = (power, -float((distance[300] / distance[150]).log() / (t[300] / t[150]).log()))
        orbits.append(Line(x=path[:200, 0] + 1, y=path[:200, 1] + 1, label=f"l = {weight:g}"))
        theory = Line(x=late, y=distance[-1] * (late / t[-1]) ** -power, label=f"t^-{power:.2g}", theory=True)
        decays += [Points(x=t[shown], y=distance[shown], label=f"l = {weight:g}"), theory]
    figure = [Panel(marks=orbits, x="x", y="y", square=True), Panel(marks=decays, x="update", y="distance from the equilibrium", log="xy")]
    return Finding(cases, figure)


@claim(
    place="Sec. 3.4",
    statement="With targets alpha for real and 0 for generated samples the best critic is D*(x) = alpha p / (p + q).",
    predicted="alpha p / (p + q) at each of three atoms",
    how="the critic's loss of `label_smoothing_gan`, a free score an atom, minimised by L-BFGS on 1,000 real and 1,000 fake atoms",
    tolerance=1e-6,
)
def one_sided_smoothing() -> Finding:
    """Never more certain than alpha."""
    p, q = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=torch.float64)
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Mark] = []
    for alpha in (0.9, 0.75):
        m = play(
            f"label_smoothing_gan[alpha={alpha}]", nn.Linear(1, 1), TableCritic(torch.zeros(3, dtype=torch.float64)), fake=atoms(q, 1000)
        )
        minimise(functools.partial(m.critic_loss, Samples(atoms(p, 1000))), m.D.parameters())
        best, found = alpha * p / (p + q), m.D.scores.detach().sigmoid()
        cases |= {f"alpha = {alpha:g}, atom {k}": (float(best[k]), float(found[k])) for k in range(3)}
        names = [f"{a:g} : {b:g}" for a, b in zip(p, q)]
        marks += [
            Bars(names=names, y=best, label=f"{alpha:g} p / (p + q)", theory=True),
            Bars(names=names, y=found, label=f"alpha = {alpha:g}"),
        ]
    return Finding(cases, [Panel(marks=marks, x="p : q", y="D")])


@claim(
    place="Sec. 3.5",
    statement="Virtual batch normalisation uses statistics of a fixed reference batch and the sample itself, never of other samples.",
    predicted="batch normalisation of the reference batch and the sample, by PyTorch; derivative 0 by the other samples' latents",
    how="`virtual_batchnorm_gan` of a linear layer and batch norm (derivatives: three layers, two norms), 5 reference and 4 other latents",
    tolerance=1e-9,
)
def virtual_batch_norm() -> Finding:
    """Samples that do not know each other."""
    z, reference = torch.randn(9, 3, dtype=torch.float64).split([4, 5])
    cases: dict[str, tuple[float, float]] = {}
    m = play("virtual_batchnorm_gan[reference=5]", nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), Known(lambda x: x[:, 0]), z_dim=3)
    linear, norm = m.G.double()
    m.reference_z = reference
    y = m.generate(z).detach()
    for i in range(4):
        batch = linear(torch.cat([reference, z[i : i + 1]]))
        expected = F.batch_norm(batch, None, None, norm.weight, norm.bias, training=True)[-1].detach()
        cases |= {f"sample {i}, unit {k}": (float(expected[k]), float(y[i, k])) for k in range(2)}
    deep = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)).double()
    plain = _influence(deep, z)
    m = play("virtual_batchnorm_gan[reference=5]", deep, Known(lambda x: x[:, 0]), z_dim=3)
    m.reference_z = reference
    m.G.double()
    virtual = _influence(m.generate, z)
    cases |= {f"influence of sample {j} on sample 0": (0.0, virtual[j]) for j in (1, 2, 3)}
    marks = [
        Bars(names=[f"z_{j}" for j in range(4)], y=y, label=label) for y, label in ((plain, "batch norm"), (virtual, "virtual batch norm"))
    ]
    return Finding(cases, [Panel(marks=marks, y="|derivative of sample 0 by z_j|")])


@claim(
    place="Sec. 4",
    statement="The Inception score is 1 where samples tell nothing or are all alike, K where they are certain and even over K classes.",
    predicted="exp(H(p(y)) - H(p(y|x))) in closed form: k for certainty on k classes; K exp(-H) for a chance e of a uniform class",
    how="`inception_score[splits=1]` with a classifier that is told its logits, 10 classes, 900 samples",
    tolerance=1e-6,
)
def inception_score() -> Finding:
    """Sharp and varied."""
    doubts, score = (0.0, 0.1, 0.3, 0.6, 0.9, 1.0), "inception_score[splits=1]"
    cases = {f"certain, {k} classes": (float(k), rate(score, evenly(k), evenly(10))) for k in (1, 2, 5, 10)}
    for e in doubts:
        sure, rest = 1 - e + e / 10, e / 10
        minus_entropy = sum(n * p * math.log(p) for n, p in ((1, sure), (9, rest)) if p)
        cases[f"doubt {e:g}, 10 classes"] = (10 * math.exp(minus_entropy), rate(score, evenly(10, e), evenly(10)))
    predicted, measured = zip(*list(cases.values())[4:])
    theory, found = Points(x=doubts, y=predicted, label="K exp(-H)", theory=True), Points(x=doubts, y=measured, label="measured")
    return Finding(cases, [Panel(marks=[theory, found], x="chance of a uniform class instead", y="score")])


@claim(
    place="Sec. 5",
    statement="K + 1 classes lose nothing if the last logit is 0: then D(x) = Z / (Z + 1), Z the sum of exp of the others.",
    predicted="-(E log(1 - p_(K+1)(real)) + E log p_(K+1)(fake)) / 2 of a softmax over K + 1 logits, whose last is any c, added to all",
    how="the unsupervised loss of `semi_supervised_gan` on the K = 5 logits less c, 64 real and 64 fake",
    tolerance=1e-12,
    deviation="the paper's unsupervised loss has no factor 1/2; the authors' code, and so this project, halves it",
)
def one_class_more() -> Finding:
    """A critic for free."""
    m = play("semi_supervised_gan", nn.Linear(1, 1), nn.Linear(1, 5), classes=5)
    real, fake = torch.randn(128, 5, dtype=torch.float64).split(64)
    cases = {}
    for c in (0.0, 3.0, -3.0):
        p_real, p_fake = (torch.cat([x + c, torch.full((64, 1), c)], 1).softmax(1)[:, 5] for x in (real, fake))
        cases[f"c = {c:g}"] = (-float((1 - p_real).log().mean() + p_fake.log().mean()) / 2, float(m.unsupervised(real, fake)))
    grid = torch.linspace(-6, 4, 41, dtype=torch.float64)
    found = [math.exp(-2 * float(m.unsupervised(s.expand(1, 5), grid.new_full((1, 5), -40.0)))) for s in grid]
    Z = 5 * grid.exp()
    cases |= {f"D where all logits are {grid[k]:g}": (float(Z[k] / (Z[k] + 1)), found[k]) for k in (0, 20, 40)}
    theory, points = Line(x=grid, y=Z / (Z + 1), label="Z / (Z + 1)", theory=True), Points(x=grid, y=found, label="exp(-2 loss)")
    return Finding(cases, [Panel(marks=[theory, points], x="all five logits", y="D")])


def _matching(unit: Tensor, mu: float, sigma: float) -> list[float]:
    """The generator's loss of fakes mu + sigma unit and its slopes in mu and sigma."""
    parameters = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (mu, sigma)]
    D = Critic(Known(lambda x: torch.cat([x, x.square()], 1)), 2)
    m = play("feature_matching_gan", nn.Linear(1, 1), D, fake=parameters[0] + parameters[1] * unit)
    loss = m.generator_loss(Samples(quantiles(20_000)[:, None]))
    return [loss.item(), *(float(g) for g in torch.autograd.grad(loss, parameters))]


def _closeness(step: float, i: int, n: int) -> float:
    """The sum of exp(-step |i - j|) over j other than i: two geometric series."""
    r = math.exp(-step)
    return n - 1.0 if step == 0 else (2 * r - r ** (i + 1) - r ** (n - i)) / (1 - r)


def _bilinear(weight: float, h: float, steps: int) -> Tensor:
    """The path of (x - 1, y - 1) from (2, 2) under updates of h of the game whose value is the product: steps + 1 x 2, float64."""
    G, D = nn.Linear(1, 1, bias=False, dtype=torch.float64), nn.Linear(1, 1, bias=False, dtype=torch.float64)
    spec = f'historical_averaging_gan[weight={weight},steps={steps},optimizer="sgd[lr={h}]",schedule=constant,adversarial="wgan[clip=1e9]"]'
    m: Any = play(spec, G, D)
    m.z = lambda n: torch.ones(1, 1, dtype=torch.float64)  # so that G(z) = a and D(G(z)) = a b
    nn.init.constant_(G.weight, 2.0)
    nn.init.constant_(D.weight, 2.0)
    data = itertools.repeat(Samples(torch.zeros(1, 1, dtype=torch.float64)))
    m.prepare(data)
    return torch.tensor([(2.0, 2.0), *((G.weight.item(), D.weight.item()) for _ in m.train(data))], dtype=torch.float64)


def _influence(network: Any, z: Tensor) -> list[float]:
    """How sample 0 of a batch depends on each latent: the norm of its derivative."""
    z = z.clone().requires_grad_()
    return [float(g) for g in torch.autograd.grad(network(z)[0].sum(), z)[0].norm(dim=1)]
