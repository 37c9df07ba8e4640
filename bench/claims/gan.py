"""Generative Adversarial Nets."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, TableCritic, atoms, jensen_shannon, play, quantiles
from bench.figure import Bars, Line, Panel, Points
from bench.method import Samples
from methods.procedures import descend

PAPER = Paper(
    title="Generative Adversarial Nets",
    authors="Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio",
    venue="NIPS 2014",
    year=2014,
    arxiv="1406.2661",
    lesson="A critic D learns to tell data from samples, a generator G to deceive it. For a fixed generator the best critic is known in "
    "closed form, and with it in place the generator minimises the Jensen-Shannon divergence between its samples and the data: zero only "
    "where both agree. As the minimax game stands, a generator that is rejected with confidence hardly learns; maximising log D instead "
    "has the same fixed point and a strong gradient where it is needed.",
)


@claim(
    place="Sec. 3",
    statement="Where the critic rejects fakes with confidence, log(1 - D) has hardly any gradient; -log D has a strong one.",
    predicted="-sigmoid(s) and sigmoid(s) - 1 at the score s = logit D of a fake",
    how="the derivatives of the generator's losses of `gan` by the scores of its fakes",
    tolerance=1e-12,
)
def generator_gradients() -> Finding:
    """Who learns from a critic that wins."""
    scores = torch.linspace(-10, 10, 41, dtype=torch.float64)
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    sigmoid = [1 / (1 + math.exp(-s)) for s in scores.tolist()]
    for name, label, slopes in (
        ("saturating", "log(1 - D)", [-p for p in sigmoid]),
        ("nonsaturating", "-log D", [p - 1 for p in sigmoid]),
    ):
        fake = scores[:, None].clone().requires_grad_()
        m = play(f"gan[adversarial={name}]", nn.Linear(1, 1), Known(lambda x: x[:, 0]), fake=fake)
        m.generator_loss(Samples(fake)).backward()
        assert fake.grad is not None
        found = fake.grad[:, 0] * len(fake)
        cases |= {f"{label}, s = {scores[k]:g}": (slopes[k], float(found[k])) for k in (0, 10, 20, 30, 40)}
        marks += [Line(x=scores, y=slopes, label=label, theory=True), Points(x=scores, y=found, label=f"{name}, measured")]
    return Finding(cases, [Panel(marks=marks, x="score of a fake", y="slope of the generator's loss")])


@claim(
    place="Prop. 1, Eq. 2",
    statement="For a fixed generator the best critic is D*(x) = p(x) / (p(x) + q(x)).",
    predicted="p / (p + q) at each of four atoms",
    how="the critic's loss of `gan`, a free score an atom, minimised by L-BFGS on 1,000 real and 1,000 fake atoms",
    tolerance=1e-4,
)
def optimal_critic() -> Finding:
    """D* by training."""
    p, q = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64), torch.tensor([0.1, 0.2, 0.2, 0.5], dtype=torch.float64)
    m = play("gan", nn.Linear(1, 1), TableCritic(torch.zeros(4, dtype=torch.float64)), fake=atoms(q, 1000))
    real = Samples(atoms(p, 1000))
    optimizer = torch.optim.LBFGS(m.D.parameters(), max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def loss() -> float:
        optimizer.zero_grad()
        value = m.critic_loss(real)
        value.backward()
        return value.item()

    optimizer.step(loss)
    best, found = p / (p + q), m.D.scores.detach().sigmoid()
    names = [f"atom {k}" for k in range(4)]
    figure = [
        Panel(marks=[Bars(names=names, y=best, label="p / (p + q)", theory=True), Bars(names=names, y=found, label="trained")], y="D")
    ]
    return Finding({name: (float(b), float(f)) for name, b, f in zip(names, best, found)}, figure)


@claim(
    place="Thm. 1, Eq. 5",
    statement="Under the best critic the generator's value is C(G) = -log 4 + 2 JSD(p, q), at its least, -log 4, only where p = q.",
    predicted="-log 4 + 2 JSD, by quadrature of its definition",
    how="minus the critic's loss of `gan` at D*, on 200,000 quantiles each of N(0, 1) and N(delta, 1)",
    tolerance=1e-5,
)
def value_under_the_best_critic() -> Finding:
    """C(G) between Gaussians."""
    cases, shifts, x = {}, [0.0, 0.5, 1.0, 2.0, 4.0], torch.linspace(-12, 16, 200_001, dtype=torch.float64)
    for delta in shifts:
        m = play("gan", nn.Linear(1, 1), Known(_log_odds(delta)), fake=quantiles(200_000, delta)[:, None])
        value = -m.critic_loss(Samples(quantiles(200_000)[:, None]))
        p, q = (torch.distributions.Normal(mean, 1.0).log_prob(x).exp() for mean in (0.0, delta))
        cases[f"delta = {delta:g}"] = (-math.log(4) + 2 * jensen_shannon(p, q, x).item(), value.item())
    predicted, measured = zip(*cases.values())
    marks = [Line(x=shifts, y=predicted, label="-log 4 + 2 JSD", theory=True), Line(x=shifts, y=measured, label="C(G) measured")]
    return Finding(cases, [Panel(marks=marks, x="delta", y="C(G)")])


def _log_odds(delta: float) -> Callable[[Tensor], Tensor]:
    """X -> log p / q of N(0, 1) against N(delta, 1)."""
    return lambda x: delta * (delta / 2 - x[:, 0])


@claim(
    place="Prop. 2",
    statement="If the critic is at its best at every step and the generator descends the criterion, its distribution becomes the data's.",
    predicted="the data's share of each of ten atoms",
    how="a free logit an atom, the generator's loss of `gan[adversarial=saturating]` at D*, 400 steps of `sgd[lr=5]`",
    tolerance=1e-6,
)
def descent_finds_the_data() -> Finding:
    """A tabular game."""
    p = torch.arange(1, 11, dtype=torch.float64) / 55
    G = TableCritic(torch.linspace(2, -2, 10, dtype=torch.float64))
    best = Known(lambda x: (p / G.scores.softmax(0).detach()).log()[x[:, 0].long()])
    m = play("gan[adversarial=saturating,optimizer=sgd[lr=5]]", G, best)
    support, away = atoms(p.new_ones(10), 1)[:, None], []
    each = torch.func.vmap(lambda x: m.adversarial.generator(m.D, x, support))  # the loss of every atom
    for _ in range(400):
        q = G.scores.softmax(0)
        away.append(float((p - q).abs().max().detach()))
        descend(m.opt_g, q @ each(support))
    found = G.scores.detach().softmax(0)
    names = [f"atom {k}" for k in range(10)]
    shares = [Bars(names=names, y=p, label="data", theory=True), Bars(names=names, y=found, label="generator after 400 steps")]
    decay = Panel(marks=[Line(x=range(0, 400, 2), y=away[::2])], x="step", y="largest difference of shares", log="y")
    return Finding({name: (float(a), float(b)) for name, a, b in zip(names, p, found)}, [Panel(marks=shares, y="share"), decay])
