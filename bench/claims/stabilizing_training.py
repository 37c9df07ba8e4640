"""Stabilizing Training of Generative Adversarial Networks through Regularization."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, play, quantiles
from bench.figure import Bars, Line, Mark, Panel, Points
from bench.method import Samples
from methods.penalties import js_penalty

PAPER = Paper(
    title="Stabilizing Training of Generative Adversarial Networks through Regularization",
    authors="Roth, Lucchi, Nowozin, Hofmann",
    venue="NIPS 2017",
    year=2017,
    arxiv="1705.09367",
    lesson="Where data and samples lie on thin sets that do not meet, their divergence is flat and a critic separates them perfectly. "
    "Noise of variance gamma on both makes them overlap. Its effect need not be sampled: to first order in gamma it is a penalty on the "
    "critic's gradient, weighted by the curvature of f*; for the GAN that means by how wrong the critic is, (1 - D)^2 on data and D^2 on "
    "samples.\n\n"
    "The weights are part of the objective, so the critic is trained through them too.",
)

_N = 50_000


def _log_odds(delta: float) -> Callable[[Tensor], Tensor]:
    """The best critic's logit, log p / q, of N(0, 1) against N(delta, 1)."""
    return lambda x: delta * (delta / 2 - x[:, 0])


def _mean(value: Callable[[Tensor], Tensor], mean: float) -> float:
    """Of a function under N(mean, 1), by quadrature."""
    x = torch.linspace(mean - 14, mean + 14, 20_001, dtype=torch.float64)
    return float(torch.trapezoid(value(x) * torch.exp(-((x - mean) ** 2) / 2), x)) / math.sqrt(2 * math.pi)


def _mistaken(delta: float) -> float:
    """E D under the samples N(delta, 1), D the best critic: the integral of p q / (p + q)."""
    return _mean(lambda x: torch.sigmoid(_log_odds(delta)(x[:, None])), delta)


@claim(
    place="the regulariser Omega_JS",
    statement="Under the best critic both terms of Omega_JS together are E_samples D |grad logit D|^2.",
    predicted="delta^2 times the integral of p q / (p + q), by quadrature",
    how="`js_penalty` of the best critic on 50,000 quantiles each of N(0, 1) and N(delta, 1)",
    tolerance=1e-6,
)
def penalty_under_the_best_critic() -> Finding:
    """Its value between Gaussians: largest where they half overlap."""
    fine, shifts = [0.1 * k for k in range(61)], [0.5, 1.0, 2.0, 3.0, 4.0, 6.0]
    found = [float(js_penalty(_log_odds(delta), quantiles(_N)[:, None], quantiles(_N, delta)[:, None])) for delta in shifts]
    cases = {f"delta = {delta:g}": (delta**2 * _mistaken(delta), value) for delta, value in zip(shifts, found)}
    theory = Line(x=fine, y=[delta**2 * _mistaken(delta) for delta in fine], label="E D |grad|^2", theory=True)
    marks: list[Mark] = [theory, Points(x=shifts, y=found, label="Omega_JS measured")]
    return Finding(cases, [Panel(marks=marks, x="delta", y="penalty")])


@claim(
    place="the regulariser Omega_JS",
    statement="Each sample's squared gradient is weighted by how wrong the critic is there: (1 - D)^2 on data, D^2 on samples.",
    predicted="|w|^2 (E_data (1 - D)^2 + E_samples D^2) for a critic with logit w x",
    how="`js_penalty` of linear critics of rising norm on 50 random points each, in three dimensions",
    tolerance=1e-9,
)
def linear_critics() -> Finding:
    """A gradient that is the same everywhere leaves the weights."""
    real, fake = (torch.randn(50, 3, dtype=torch.float64) + shift for shift in (0.5, -0.5))
    cases, norms = {}, [0.25, 0.5, 1.0, 2.0, 4.0]
    for norm in norms:
        w = norm * torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
        D = functools.partial(torch.matmul, other=w)
        wrong = [(1 + math.exp(sign * float(D(x)))) ** -2 for sign, points in ((1, real), (-1, fake)) for x in points]
        cases[f"|w| = {norm:g}"] = (norm**2 * math.fsum(wrong) / 50, float(js_penalty(D, real, fake)))
    y, found = zip(*cases.values())
    marks: list[Mark] = [Line(x=norms, y=y, label="closed form", theory=True), Points(x=norms, y=found, label="measured")]
    return Finding(cases, [Panel(marks=marks, x="|w|", y="Omega_JS", log="xy")])


@claim(
    place="the regulariser Omega_JS",
    statement="The weights are not constants: the critic descends the penalty through them too.",
    predicted="-r sigma(-w r) + f sigma(w f) + w [(1 - w r sigma(w r)) sigma(-w r)^2 + (1 + w f sigma(-w f)) sigma(w f)^2]",
    how="the derivative by w of the critic's loss of `js_reg_gan[gamma=1]` with logit w x, one real sample r = 1, one fake f = -0.5",
    tolerance=1e-9,
)
def weights_are_differentiated() -> Finding:
    """The slope of the regularised loss, with and without them."""
    r, f, slopes, cases = 1.0, -0.5, torch.linspace(-3, 6, 37, dtype=torch.float64), {}
    full, partial, found = [], [], []

    def sigma(t: float) -> float:
        return 1 / (1 + math.exp(-t))

    for w in slopes.tolist():
        D = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(D.weight, w)
        m = play("js_reg_gan[gamma=1.0]", nn.Linear(1, 1), nn.Sequential(D, nn.Flatten(0)), fake=torch.full((1, 1), f, dtype=torch.float64))
        (slope,) = torch.autograd.grad(m.critic_loss(Samples(torch.full((1, 1), r, dtype=torch.float64))), D.weight)
        base, real, fake = -r * sigma(-w * r) + f * sigma(w * f), sigma(-w * r) ** 2, sigma(w * f) ** 2
        full.append(base + w * ((1 - w * r * sigma(w * r)) * real + (1 + w * f * sigma(-w * f)) * fake))
        partial.append(base + w * (real + fake))
        found.append(slope.item())
        if w % 1.5 == 0:
            cases[f"w = {w:g}"] = (full[-1], found[-1])
    marks: list[Mark] = [
        Line(x=slopes, y=full, label="through the weights", theory=True),
        Line(x=slopes, y=partial, label="weights held fixed", theory=True),
    ]
    return Finding(cases, [Panel(marks=[*marks, Points(x=slopes, y=found, label="measured")], x="w", y="slope of the critic's loss")])


@claim(
    place="F_gamma: noise as a penalty",
    statement="The regularised objective is the GAN's on data and samples convolved with noise of variance gamma, to first order.",
    predicted="their difference over gamma^2: the next term of the expansion, (E_P (log D)'''' + E_Q (log(1 - D))'''') / 8, by quadrature",
    how="`gan` on quantiles of N(0, 1 + gamma) and N(1, 1 + gamma) less `js_reg_gan` on N(0, 1) and N(1, 1); the latter's best critic",
    tolerance=0.02,
    relative=True,
)
def noise_is_a_penalty() -> Finding:
    """Second-order agreement."""
    predicted = -sum(_mean(_third_slope, mean) for mean in (0.0, 1.0)) / 8
    gammas, convolved, penalised = [0.02, 0.03, 0.05, 0.1, 0.2, 0.4], [], []
    for gamma in gammas:
        convolved.append(-_critic_loss("gan", 1 + gamma))
        penalised.append(-_critic_loss(f"js_reg_gan[gamma={gamma}]", 1.0))
    differences = [a - b for a, b in zip(convolved, penalised)]
    cases = {f"gamma = {gamma:g}": (predicted, d / gamma**2) for gamma, d in list(zip(gammas, differences))[:4]}
    values: list[Mark] = [Line(x=gammas, y=penalised, label="with the penalty"), Points(x=gammas, y=convolved, label="with noise")]
    square = Line(x=gammas, y=[predicted * gamma**2 for gamma in gammas], label="predicted", theory=True)
    gap = Panel(marks=[square, Points(x=gammas, y=differences, label="measured")], x="gamma", y="difference", log="xy")
    return Finding(cases, [Panel(marks=values, x="gamma", y="F"), gap])


def _critic_loss(spec: str, variance: float) -> float:
    """Of the best critic of N(0, 1) and N(1, 1), on Gaussians of another variance."""
    std = math.sqrt(variance)
    m = play(spec, nn.Linear(1, 1), Known(_log_odds(1.0)), fake=quantiles(_N, 1.0, std)[:, None])
    return float(m.critic_loss(Samples(quantiles(_N, 0.0, std)[:, None])).detach())


def _third_slope(x: Tensor) -> Tensor:
    """The third derivative of the sigmoid at the logit of the best critic of N(0, 1) and N(1, 1)."""
    s = torch.sigmoid(0.5 - x)
    return s * (1 - s) * (1 - 6 * s * (1 - s))


@claim(
    place="the regularised f-GAN: Omega_f",
    statement="For every f, noise of variance gamma lowers the bound under the best critic T by gamma / 2 Omega_f to first order, "
    "Omega_f = E_samples f*''(T) |grad T|^2.",
    predicted="-Omega_f / 2, where f*''(T) |grad T|^2 = f''(u) |grad u|^2, u = p / q: closed forms of Gaussians, quadrature for `gan`",
    how="the slope of minus the critic's loss of `fgan` by the variance of N(0, 1) and N(1/2, 1), a central difference over 0.02",
    tolerance=1e-3,
    relative=True,
)
def every_divergence() -> Finding:
    """Omega_f of six divergences."""
    delta = 0.5
    rows: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {  # the critic V with T = g_f(V), from log u; E f''(u) u^2
        "kl": (lambda v: 1 + v, 1.0),
        "reverse_kl": (lambda v: v, 1.0),
        "pearson": (lambda v: 2 * torch.expm1(v), 2 * math.exp(delta**2)),
        "neyman": (lambda v: 2 * v, 2 * math.exp(delta**2)),
        "hellinger": (lambda v: v / 2, math.exp(-(delta**2) / 8) / 2),
        "gan": (lambda v: v, _mistaken(delta)),
    }
    cases = {name: (-(delta**2) * weight / 2, _slope_by_variance(name, critic, delta)) for name, (critic, weight) in rows.items()}
    predicted, measured = zip(*cases.values())
    bars = [Bars(names=list(cases), y=predicted, label="-Omega_f / 2", theory=True), Bars(names=list(cases), y=measured, label="measured")]
    return Finding(cases, [Panel(marks=bars, y="slope of the bound by gamma")])


def _slope_by_variance(divergence: str, critic: Callable[[Tensor], Tensor], delta: float, step: float = 0.01) -> float:
    bounds = []
    for variance in (1 + step, 1 - step):
        real, fake = (quantiles(200_000, mean, math.sqrt(variance))[:, None] for mean in (0.0, delta))
        m = play(f"fgan[divergence={divergence}]", nn.Linear(1, 1), Known(lambda x: critic(_log_odds(delta)(x))), fake=fake)
        bounds.append(-float(m.losses(Samples(real))[0].detach()))
    return (bounds[0] - bounds[1]) / (2 * step)
