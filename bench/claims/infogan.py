"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, Uniform, kl_divergence

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._tools import play, quantiles
from bench.figure import Line, Panel, Points
from bench.method import Samples

PAPER = Paper(
    title="InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
    authors="Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel",
    venue="NIPS 2016",
    year=2016,
    arxiv="1606.03657",
    lesson="Nothing in a GAN makes the generator use a latent code c. InfoGAN rewards the mutual information I(c; x) of code and sample. "
    "That needs the posterior P(c | x), which is unknown; any network Q(c | x) in its place gives a lower bound L_I = E log Q(c | x) + "
    "H(c), and the gap is the divergence of Q from the posterior. So Q and the generator can both raise L_I. Of a categorical code it "
    "cannot exceed H(c), reached when every sample tells its code.",
)

STDS = [0.2 + 0.1 * i for i in range(31)]  # of the channel's noise, for curves


@claim(
    place="Sec. 5, Eq. 5",
    statement="L_I of a categorical code is at most H(c), reached when Q is certain and right.",
    predicted="log K - log(1 + (K - 1) exp(-b)) nats, K = 10, where Q's logit of the right code is b and the others are 0",
    how="`information` of `infogan` on 1,000 codes; b = 40 gives H(c) = log 10",
    tolerance=1e-6,
)
def ceiling() -> Finding:
    """L_I against how sure Q is."""
    m = _game()
    z = m.z(1000).double()
    sure = torch.linspace(0, 12, 61).tolist()
    found = {b: m.information(b * z[:, 1:], z).item() for b in [*sure, 40.0]}
    expected = {b: math.log(10) - math.log1p(9 * math.exp(-b)) for b in found}
    cases = {f"b = {b:g}": (expected[b], found[b]) for b in (0.0, 2.0, 6.0, 40.0)}
    marks: list[Line | Points] = [
        Line(x=sure, y=[expected[b] for b in sure], label="theory", theory=True),
        Points(x=sure[::3], y=[found[b] for b in sure[::3]], label="L_I"),
        Line(x=[0, 12], y=[math.log(10)] * 2, label="H(c)", theory=True),
    ]
    return Finding(cases, [Panel(marks=marks, x="b", y="nats")])


@claim(
    place="Sec. 5, Eq. 4",
    statement="The bound is tight where Q is the posterior: L_I = I(c; x).",
    predicted="h(x) - h(x | c) by quadrature, for c = -1 or 1 and x = c + N(0, s^2)",
    how="`information` of `infogan` with the logits of P(c | x), on 20,000 quantiles a code",
    tolerance=1e-4,
)
def tight_at_the_posterior() -> Finding:
    """A Gaussian channel."""
    stds = [0.3, 0.5, 1.0, 2.0, 3.0]
    cases = {f"s = {s:g}": (_mutual(s), _bound(s, 2 / s**2)) for s in stds}
    curve = Line(x=STDS, y=[_mutual(s) for s in STDS], label="I(c; x)", theory=True)
    return Finding(cases, [Panel(marks=[curve, Points(x=stds, y=[b for _, b in cases.values()], label="L_I")], x="noise s", y="nats")])


@claim(
    place="Sec. 5, Eq. 4",
    statement="With any other Q the bound lies below I(c; x), by the mean divergence of Q from the posterior.",
    predicted="I - E KL(P(c | x) || Q(c | x)) by quadrature, for Q(c = 1 | x) = sigmoid(x) in the same channel",
    how="`information` of `infogan` with those logits, on 20,000 quantiles a code; below 0 where Q is too sure",
    tolerance=1e-4,
)
def gap() -> Finding:
    """The same channel with a wrong Q."""
    stds = [0.3, 0.5, 1.0, 2.0, 3.0]
    cases = {f"s = {s:g}": (_mutual(s) - _mean_divergence(s), _bound(s, 1.0)) for s in stds}
    marks: list[Line | Points] = [
        Line(x=STDS, y=[_mutual(s) for s in STDS], label="I(c; x)", theory=True),
        Line(x=STDS, y=[_mutual(s) - _mean_divergence(s) for s in STDS], label="I - E KL", theory=True),
        Points(x=stds, y=[b for _, b in cases.values()], label="L_I"),
    ]
    return Finding(cases, [Panel(marks=marks, x="noise s", y="nats")])


@claim(
    place="Sec. 6; Sec. 7.1",
    statement="A continuous code is read by a Gaussian; one that the sample does not tell costs what the Gaussian misses of its prior.",
    predicted="-KL(U(-1, 1) || N(m, s^2)) nats, as I(c; x) is 0",
    how="`information` of `infogan` with the same mean and standard deviation for every sample, on 10,000 midpoints of (-1, 1)",
    tolerance=1e-5,
)
def unread_continuous_code() -> Finding:
    """The bound on a code that Q cannot read."""
    c = ((torch.arange(10_000, dtype=torch.float64) + 0.5) / 5000 - 1)[:, None]
    z = torch.cat([torch.zeros_like(c), torch.ones_like(c), c], 1)  # noise, the one category, the code
    m, fixed = (_game(categories=1, continuous=1, fixed_std=fixed) for fixed in (False, True))

    def pair(game: Any, mean: float, std: float) -> tuple[float, float]:
        q = torch.tensor([[0.0, mean, math.log(std)]], dtype=torch.float64).expand(len(c), 3)
        return -float(kl_divergence(Uniform(-1.0, 1.0), Normal(mean, 1.0 if game is fixed else std))), game.information(q, z).item()

    stds = [0.3, 0.4, 0.5, 3**-0.5, 0.7, 0.85, 1.0, 1.3]
    curve = [pair(m, 0, s) for s in stds]
    marks: list[Line | Points] = [
        Line(x=stds, y=[a for a, _ in curve], label="-KL", theory=True),
        Points(x=stds, y=[b for _, b in curve], label="L_I"),
    ]
    cases = {
        "m = 0, s = 0.3": curve[0],
        "m = 0, s = 0.577": curve[3],
        "m = 0.5, s = 1": pair(m, 0.5, 1.0),
        "s fixed at 1": pair(fixed, 0, 0.3),
    }
    return Finding(cases, [Panel(marks=marks, x="Q's standard deviation", y="nats")])


@claim(
    place="Sec. 5, Eq. 6",
    statement="Q and the generator both learn from -lambda L_I.",
    predicted="the gradient of -lambda E log softmax(Q)_c, where it is missed most; of the critic's loss none for the generator",
    how="what `info=0.7` adds to the gradients of `infogan`'s losses over `info=0`: a layer each of Q, the critic's body, the generator",
    tolerance=1e-12,
    deviation="in Eq. 6 the critic, whose body Q shares, maximises V - lambda L_I; here as in the authors' code the critic's update "
    "trains Q too and lowers -V - lambda L_I, so that the shared body raises L_I",
)
def who_learns_from_the_information() -> Finding:
    """The term in both losses."""
    m, plain = _game(info=0.7), _game(info=0.0)
    z, real = m.z(64).double(), Samples(torch.randn(64, 2, dtype=torch.float64))
    m.z = plain.z = lambda n: z
    plain.G, plain.D, plain.Q = m.G.double(), m.D.double(), m.Q.double()
    layers = {"Q": m.Q[-1].weight, "critic's body": m.D.body[1].weight, "generator": m.G.net[0].weight}
    log_q = m.Q(m.D.represent(m.G(z))).log_softmax(1)
    expected = torch.autograd.grad(-0.7 * (log_q * z[:, 1:]).sum(1).mean(), list(layers.values()))
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for loss in ("critic_loss", "generator_loss"):
        for (part, weight), e in zip(layers.items(), expected):
            e = torch.zeros_like(e) if (loss, part) == ("critic_loss", "generator") else e
            added = _gradient(getattr(m, loss)(real), weight) - _gradient(getattr(plain, loss)(real), weight)
            worst = (added - e).abs().argmax()
            cases[f"{loss}: {part}"] = (float(e.flatten()[worst]), float(added.flatten()[worst]))
            marks.append(Points(x=e.flatten()[::16], y=added.flatten()[::16], label=f"{loss}: {part}"))
    ends = [min(float(e.min()) for e in expected), max(float(e.max()) for e in expected)]
    return Finding(cases, [Panel(marks=[*marks, Line(x=ends, y=ends, theory=True)], x="gradient of -lambda L_I", y="what the term adds")])


@claim(
    place="Sec. 7.1, Fig. 1",
    statement="L_I rises to H(c) as the game goes on.",
    predicted="at least 95 % of log 10",
    how="1,000 updates of `infogan` (Adam 1e-3) on `ring`, a code of ten values; drawn beside it: without the term, Q with it",
    relation=">=",
    tolerance=0.05,
    relative=True,
    cost="slow",
)
def information_is_learned() -> Finding:
    """L_I during training."""
    curves = {}
    for name in ("InfoGAN", "regular GAN"):
        torch.manual_seed(0)
        m = _game(steps=1000, batch_size=128, optimizer='"adam[lr=1e-3,betas=(0.5,0.999)]"')
        if name == "regular GAN":
            m.generator_loss = lambda batch, m=m: m.adversarial.generator(m.D, m.G(m.z(len(batch))), batch.x)
        curves[name] = [_information(m) for _ in m.train(_ring()) if m.t % 10 == 0]
    steps, top = range(10, 1001, 10), math.log(10)
    marks = [Line(x=steps, y=curve, label=name) for name, curve in curves.items()]
    learned = sum(curves["InfoGAN"][-10:]) / 10
    return Finding(
        {"": (top, learned)}, [Panel(marks=[*marks, Line(x=[0, 1000], y=[top, top], label="H(c)", theory=True)], x="update", y="L_I")]
    )


def _game(**options: Any) -> Any:
    """`infogan` on the plane: one incompressible latent and, by default, a code of ten values."""
    settings = {"noise": 1, "categories": 10, "continuous": 0} | options
    return play(f"infogan[{','.join(f'{k}={v}' for k, v in settings.items())}]", nn.Identity(), nn.Identity(), shape=(2,))


def _information(m: Any) -> float:
    """L_I on 500 fresh codes."""
    with torch.no_grad():
        z = m.z(500)
        return float(m.information(m.Q(m.D.represent(m.G(z))), z))


def _ring(n: int = 128) -> Iterator[Samples]:
    ring, rng = registry.make("dataset", "ring"), torch.Generator().manual_seed(0)
    while True:
        yield ring.draw(n, rng)


def _gradient(loss: Tensor, weight: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, weight, allow_unused=True)
    return torch.zeros_like(weight) if gradient is None else gradient


def _bound(s: float, slope: float) -> float:
    """L_I where c is -1 or 1, x = c + N(0, s^2), and Q(c = 1 | x) = sigmoid(slope x)."""
    noise = quantiles(20_000, std=s)
    x = torch.cat([noise - 1, noise + 1])
    code = F.one_hot((torch.arange(len(x)) >= len(noise)).long(), 2).double()
    q = torch.stack([torch.zeros_like(x), slope * x], 1)
    return float(_game(categories=2).information(q, torch.cat([torch.zeros_like(x)[:, None], code], 1)))


def _channel(s: float) -> tuple[Tensor, Tensor]:
    """A grid of x and the density there, for c of either sign alike."""
    x = torch.linspace(-1 - 12 * s, 1 + 12 * s, 20_001, dtype=torch.float64)
    return x, sum(Normal(c, s).log_prob(x).exp() for c in (-1.0, 1.0)) / 2


def _mutual(s: float) -> float:
    """I(c; x) in nats: the entropy of x less that of the noise."""
    x, density = _channel(s)
    return float(-torch.trapezoid(torch.xlogy(density, density), x)) - math.log(2 * math.pi * math.e * s**2) / 2


def _mean_divergence(s: float) -> float:
    """E KL(P(c | x) || Q(c | x)), the first sigmoid(2 x / s^2), the second sigmoid(x)."""
    x, density = _channel(s)
    log_ratio = [F.logsigmoid(sign * 2 * x / s**2) - F.logsigmoid(sign * x) for sign in (-1, 1)]
    posterior = (2 * x / s**2).sigmoid()
    return float(torch.trapezoid(density * ((1 - posterior) * log_ratio[0] + posterior * log_ratio[1]), x))
