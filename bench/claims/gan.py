"""Generative Adversarial Nets."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, Table, atoms, play, quantiles
from bench.figure import Bars, Line, Panel
from bench.method import Samples

PAPER = Paper(
    title="Generative Adversarial Nets",
    authors="Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio",
    venue="NIPS 2014",
    year=2014,
    arxiv="1406.2661",
    lesson="A critic D learns to tell data from samples, a generator G to deceive it. For a fixed generator the best critic is known in closed "
    "form, and with it in place the generator minimises the Jensen-Shannon divergence between its samples and the data: zero only where both agree.",
)


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
    m = play("gan", nn.Linear(1, 1), Table(torch.zeros(4, dtype=torch.float64)), fake=atoms(q, 1000))
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
    figure = [Panel(marks=[Bars(names=names, y=best, label="p / (p + q)", theory=True), Bars(names=names, y=found, label="trained")], y="D")]
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
    cases, shifts = {}, [0.0, 0.5, 1.0, 2.0, 4.0]
    for delta in shifts:
        m = play("gan", nn.Linear(1, 1), Known(_log_odds(delta)), fake=quantiles(200_000, delta)[:, None])
        value = -m.critic_loss(Samples(quantiles(200_000)[:, None]))
        cases[f"delta = {delta:g}"] = (-math.log(4) + 2 * _jsd(delta), value.item())
    predicted, measured = zip(*cases.values())
    marks = [Line(x=shifts, y=predicted, label="-log 4 + 2 JSD", theory=True), Line(x=shifts, y=measured, label="C(G) measured")]
    return Finding(cases, [Panel(marks=marks, x="delta", y="C(G)")])


def _log_odds(delta: float) -> Callable[[Tensor], Tensor]:
    """x -> log p / q of N(0, 1) against N(delta, 1)."""
    return lambda x: delta * (delta / 2 - x[:, 0])


def _jsd(delta: float) -> float:
    """The Jensen-Shannon divergence of N(0, 1) and N(delta, 1) in nats, by quadrature."""
    x = torch.linspace(-12, 12 + delta, 200_001, dtype=torch.float64)
    log_p, log_q = (torch.distributions.Normal(mean, 1.0).log_prob(x) for mean in (0.0, delta))
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    integrand = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
    return float(torch.trapezoid(integrand, x)) / 2
