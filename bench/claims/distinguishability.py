"""On Distinguishability Criteria for Estimating Generative Models."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, minimise, play, quantiles
from bench.figure import Arrows, Line, Mark, Panel, Points
from bench.method import Samples

PAPER = Paper(
    title="On Distinguishability Criteria for Estimating Generative Models",
    authors="Goodfellow",
    venue="ICLR 2015 workshop",
    year=2015,
    arxiv="1412.6515",
    lesson="Noise-contrastive estimation, self-contrastive estimation and GANs all play one game: a classifier tells data from generated "
    "samples. They differ in who learns. NCE writes the classifier as p_model / (p_model + p_noise), keeps the noise fixed and fits the "
    "model, its normaliser included. If a copy of the model takes the noise's place before each step, the gradient is that of maximum "
    "likelihood, halved. A GAN frees the classifier and trains the noise.\n\n"
    "A GAN's generator does not follow the likelihood. It would under another cost, -p_data / p_generator = -exp(logit D) of its samples: "
    "the maximum-likelihood game.",
)

DATA = 2.0, 1.0
"""Mean and standard deviation of the Gaussian data."""


@claim(
    place="Sec. 3",
    statement="The expected gradient of self-contrastive estimation is half that of maximum likelihood.",
    predicted="half the gradient of E_data log p_model: (M - mu) / (2 sigma^2) in mu, ((M - mu)^2 + S^2) / (2 sigma^2) - 1/2 in log sigma",
    how="minus the gradient of the critic's loss of `gan`, the critic being log p_model - log p_copy; 20,000 quantiles of N(M, S^2) = "
    "N(2, 1) and of the model N(mu, sigma^2)",
    tolerance=1e-4,
)
def self_contrast_is_half_the_likelihood() -> Finding:
    """Chasing one's own copy."""
    cases = {}
    for mu, sigma in ((0.3, 1.0), (2.0, 2.0), (3.0, 0.7), (2.0, 1.0)):
        for name, half, slope in zip(("mu", "log sigma"), _half_likelihood(mu, sigma), _self_contrast(mu, sigma)):
            cases[f"d / d {name} at N({mu:g}, {sigma:g}^2)"] = (half, slope)
    grid = [(a / 2, b / 4) for a in range(9) for b in range(-3, 5)]
    slopes = [_self_contrast(mu, math.exp(s), n=500) for mu, s in grid]
    path = [(0.0, 0.8)]
    for _ in range(200):  # maximum likelihood by small steps
        mu, s = path[-1]
        a, b = _half_likelihood(mu, math.exp(s))
        path.append((mu + 0.1 * a, s + 0.1 * b))
    marks: list[Mark] = [
        Arrows(x=[mu for mu, _ in grid], y=[s for _, s in grid], u=[u for u, _ in slopes], v=[v for _, v in slopes]),
        Line(x=[mu for mu, _ in path], y=[s for _, s in path], label="maximum likelihood", theory=True),
        Points(x=[2], y=[0], label="data"),
    ]
    return Finding(cases, [Panel(marks=marks, x="mu", y="log sigma", title="self-contrastive steps")])


@claim(
    place="Sec. 2, noise-contrastive estimation",
    statement="Told from fixed noise, an unnormalised model finds its normalising constant with its other parameters, whatever the noise.",
    predicted="precision 1 / s^2 and log-normaliser -log(2 pi s^2) / 2 of data N(0, s^2)",
    how="the critic's loss of `gan`, the critic being log p_model - log p_noise with log p_model = c - l x^2 / 2, minimised by L-BFGS on "
    "20,000 quantiles of data and noise",
    tolerance=1e-3,
)
def noise_contrast_finds_the_normaliser() -> Finding:
    """A constant that likelihood alone cannot learn."""
    cases, panels = {}, []
    for s, noise in ((1.0, (0.0, 2.0)), (1.0, (1.0, 3.0)), (0.5, (0.0, 1.0))):
        model = _noise_contrasted(s, *noise)
        name = f"data N(0, {s:g}^2), noise N({noise[0]:g}, {noise[1]:g}^2)"
        cases[f"precision: {name}"] = (1 / s**2, model.precision.item())
        cases[f"log-normaliser: {name}"] = (-math.log(2 * math.pi * s**2) / 2, model.constant.item())
        x = torch.linspace(-3, 3, 61, dtype=torch.float64)
        marks: list[Mark] = [
            Line(x=x, y=_log_normal(x, 0.0, s).exp(), label="data", theory=True),
            Points(x=x, y=model.log_density(x).detach().exp(), label="model"),
            Line(x=x, y=_log_normal(x, *noise).exp(), label="noise"),
        ]
        panels.append(Panel(marks=marks, x="x", y="density", title=name))
    return Finding(cases, panels[1:])


@claim(
    place="Sec. 4, the maximum-likelihood game",
    statement="With the cost -exp(logit D) of its samples and the best critic, a generator follows the gradient of the likelihood.",
    predicted="the gradient of KL(p_data || p_generator): -(M - mu) / sigma^2 in mu, 1 - ((M - mu)^2 + S^2) / sigma^2 in log sigma",
    how="the gradient of the generator's loss of `fgan[divergence=kl]`, -E exp(V - 1), at V = 1 + logit D*; 20,000 quantiles of the "
    "generator N(mu, sigma^2), data N(M, S^2) = N(2, 1)",
    tolerance=1e-4,
)
def maximum_likelihood_game() -> Finding:
    """What a GAN's generator would have to pay."""
    cases, means = {}, [0.25 * k for k in range(17)]
    for mu, sigma in ((0.3, 1.5), (2.0, 2.0), (3.5, 1.3)):
        likelihood, slopes = (-2 * g for g in _half_likelihood(mu, sigma)), _generator_slopes("fgan[divergence=kl]", 1.0, mu, sigma)
        for name, predicted, measured in zip(("mu", "log sigma"), likelihood, slopes):
            cases[f"d / d {name} at N({mu:g}, {sigma:g}^2)"] = (predicted, measured)
    marks: list[Mark] = [Line(x=means, y=[-2 * _half_likelihood(mu, 1.5)[0] for mu in means], label="slope of the likelihood", theory=True)]
    for spec, offset, label in (
        ("fgan[divergence=kl]", 1.0, "maximum-likelihood game"),
        ("gan[adversarial=saturating]", 0.0, "log(1 - D)"),
        ("gan[adversarial=nonsaturating]", 0.0, "-log D"),
    ):
        marks.append(Points(x=means, y=[_generator_slopes(spec, offset, mu, 1.5, n=2000)[0] for mu in means], label=label))
    return Finding(cases, [Panel(marks=marks, x="mu of the generator", y="slope of its loss under the best critic")])


class _Model(nn.Module):
    """A critic that is the log-odds of N(mu, sigma^2) against a fixed log-density."""

    def __init__(self, mu: float, sigma: float, noise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.mu, self.log_sigma = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (mu, math.log(sigma)))
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, 0]
        return -((x - self.mu) ** 2) / (2 * (2 * self.log_sigma).exp()) - self.log_sigma - math.log(2 * math.pi) / 2 - self.noise(x)


class _Unnormalised(nn.Module):
    """A critic that is the log-odds of exp(c - l x^2 / 2) against a fixed log-density."""

    def __init__(self, noise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.precision, self.constant = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (0.5, 0.0))
        self.noise = noise

    def log_density(self, x: Tensor) -> Tensor:
        return self.constant - self.precision * x.square() / 2

    def forward(self, x: Tensor) -> Tensor:
        return self.log_density(x[:, 0]) - self.noise(x[:, 0])


def _log_normal(x: Tensor, mu: float, sigma: float) -> Tensor:
    return -((x - mu) ** 2) / (2 * sigma**2) - math.log(sigma) - math.log(2 * math.pi) / 2


def _half_likelihood(mu: float, sigma: float) -> tuple[float, float]:
    """Half the gradient of E_data log N(mu, sigma^2) in mu and log sigma."""
    mean, std = DATA
    return (mean - mu) / (2 * sigma**2), ((mean - mu) ** 2 + std**2) / (2 * sigma**2) - 0.5


def _noise_contrasted(s: float, mean: float, std: float) -> _Unnormalised:
    """A model of data N(0, s^2), told from noise N(mean, std^2)."""
    model = _Unnormalised(lambda x: _log_normal(x, mean, std))
    m, real = play("gan", nn.Linear(1, 1), model, fake=quantiles(20_000, mean, std)[:, None]), Samples(quantiles(20_000, 0.0, s)[:, None])
    minimise(lambda: m.critic_loss(real), model.parameters())
    return model


def _self_contrast(mu: float, sigma: float, n: int = 20_000) -> list[float]:
    """The ascent direction in mu and log sigma of a model that is told from its copy."""
    model = _Model(mu, sigma, lambda x: _log_normal(x, mu, sigma))
    m = play("gan", nn.Linear(1, 1), model, fake=quantiles(n, mu, sigma)[:, None])
    slopes = torch.autograd.grad(-m.critic_loss(Samples(quantiles(n, *DATA)[:, None])), [model.mu, model.log_sigma])
    return [float(g) for g in slopes]


def _generator_slopes(spec: str, offset: float, mu: float, sigma: float, n: int = 20_000) -> list[float]:
    """The gradient in mu and log sigma of a generator's loss under the critic offset + log p_data / p_generator, which is held fixed."""
    critic = Known(lambda x: offset + _log_normal(x[:, 0], *DATA) - _log_normal(x[:, 0], mu, sigma))
    parameters = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (mu, math.log(sigma))]
    fake = parameters[0] + parameters[1].exp() * quantiles(n)[:, None]
    loss = play(spec, nn.Linear(1, 1), critic, fake=fake).losses(Samples(quantiles(n, *DATA)[:, None]))[1]
    return [float(g) for g in torch.autograd.grad(loss, parameters)]
