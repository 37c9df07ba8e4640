"""Auto-Encoding Variational Bayes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from bench.claim import Finding, Paper, claim
from bench.claims._tools import play
from bench.figure import Line, Panel, Points
from methods import elbo

PAPER = Paper(
    title="Auto-Encoding Variational Bayes",
    authors="Kingma, Welling",
    venue="ICLR 2014",
    year=2014,
    arxiv="1312.6114",
    lesson="A decoder p(x|z) with a prior p(z) gives data a likelihood that is an integral over z. With any guess q(z|x) at the "
    "posterior, E_q log p(x|z) - KL(q || p(z)) is a lower bound of log p(x), and the gap is KL(q || p(z|x)): whoever raises the bound "
    "improves the model, or the guess.\n\n"
    "The expectation is over q, whose parameters are to be learned. Written as z = mu + sigma eps, with noise that has none, its gradient "
    "passes through the sample; that estimate varies far less than one that only weighs log q(z|x) by what each sample scored.",
)

W, NOISE, X = 1.5, 0.4, 0.8  # p(x|z) = N(W z, NOISE), x = X
POSTERIOR = W * X / (W**2 + NOISE), NOISE / (W**2 + NOISE)  # mean, variance


@claim(
    place="Eq. 10, App. B",
    statement="KL(N(mu, sigma^2) || N(0, I)) = -1/2 sum over j of 1 + log sigma_j^2 - mu_j^2 - sigma_j^2.",
    predicted="E_q log q / p by quadrature, a coordinate at a time",
    how="the KL of `vae` and `linear_vae`, means and log-variances of three coordinates",
    tolerance=1e-9,
)
def closed_kl() -> Finding:
    """The KL term."""
    rows = {
        "mu = (0.5, -1, 0)": ([0.5, -1.0, 0.0], [0.0, -1.0, 0.7]),
        "q = p": ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        "narrow": ([0.1, 0.2, 0.3], [-4.0, -5.0, -6.0]),
        "wide": ([3.0, -2.0, 1.0], [2.0, 1.0, 3.0]),
    }
    cases = {name: (sum(map(_divergence, *row)), _kl(*row)) for name, row in rows.items()}
    logs = torch.linspace(-4, 3, 29).tolist()
    marks: list[Line | Points] = []
    for mean in (0.0, 1.0, 2.0):
        marks += [
            Line(x=logs, y=[_divergence(mean, v) for v in logs], label=f"mu = {mean:g}", theory=True),
            Points(x=logs, y=[_kl([mean], [v]) for v in logs]),
        ]
    return Finding(cases, [Panel(marks=marks, x="log sigma^2", y="KL in nats")])


@claim(
    place="Eq. 1 and 2",
    statement="The bound misses log p(x) by KL(q(z|x) || p(z|x)), and touches it where q is the posterior.",
    predicted="log N(0.8; 0, 2.65) - KL(q || posterior), for p(x|z) = N(1.5 z, 0.4) and x = 0.8",
    how="the bound of `linear_vae` with these weights and q = N(mean, variance)",
    tolerance=1e-9,
)
def gap() -> Finding:
    """A linear-Gaussian model."""
    evidence = float(_normal(0.0, W**2 + NOISE).log_prob(torch.tensor(X, dtype=torch.float64)))

    def pair(mean: float, variance: float) -> tuple[float, float]:
        likelihood, divergence = _linear(mean, variance).bound(torch.tensor([[X]], dtype=torch.float64))
        return evidence - float(kl_divergence(_normal(mean, variance), _normal(*POSTERIOR))), (likelihood - divergence).item()

    cases = {"q = posterior": pair(*POSTERIOR), "q = prior": pair(0.0, 1.0), "q = N(1, 0.05)": pair(1.0, 0.05)}
    means = torch.linspace(-0.5, 1.4, 39).tolist()
    curve = [pair(mean, POSTERIOR[1]) for mean in means]
    marks: list[Line | Points] = [
        Line(x=[means[0], means[-1]], y=[evidence, evidence], label="log p(x)", theory=True),
        Line(x=means, y=[a for a, _ in curve], label="log p(x) - KL(q || posterior)", theory=True),
        Points(x=means, y=[b for _, b in curve], label="bound"),
    ]
    return Finding(cases, [Panel(marks=marks, x="mean of q, its variance that of the posterior", y="nats")])


@claim(
    place="Sec. 2.3 and 2.4",
    statement="With z = mu + sigma eps the sampled bound and its gradients are unbiased.",
    predicted="closed forms of the bound and its derivatives in mu and log sigma^2, for the same model and q = N(0.2, 0.5)",
    how="means over 200,000 draws of `vae` with a linear decoder; the tolerance is four standard errors",
    tolerance=0.04,
)
def reparametrised_gradients() -> Finding:
    """The bound of `vae` and its gradients by sampling."""
    mean, variance = 0.2, 0.5
    through, score, likelihood, divergence = _draws(1, 200_000, mean, variance)
    bound = -0.5 * (math.log(2 * math.pi * NOISE) + ((X - W * mean) ** 2 + W**2 * variance) / NOISE) - _divergence(mean, math.log(variance))
    by_mean, by_log_variance = W * (X - W * mean) / NOISE, -(W**2) * variance / (2 * NOISE)  # of the likelihood
    cases = {
        "bound": (bound, float((likelihood - divergence).mean())),
        "d E log p(x|z) / d mu": (by_mean, float(through[:, 0].mean())),
        "d E log p(x|z) / d log sigma^2": (by_log_variance, float(through[:, 1].mean())),
    }
    sizes = torch.logspace(1, 5, 60).long()
    marks: list[Line | Points] = [Line(x=[10, 1e5], y=[by_mean, by_mean], label="exact", theory=True)]
    for name, draws in (("through the sample", through[:, 0]), ("f(z) d log q / d mu", score)):
        marks.append(Line(x=sizes, y=(draws.cumsum(0) / torch.arange(1, len(draws) + 1))[sizes - 1], label=name))
    return Finding(cases, [Panel(marks=marks, x="draws", y="d E log p(x|z) / d mu", log="x")])


@claim(
    place="Sec. 2.2 and 2.4",
    statement="A gradient through the sample is as noisy in many dimensions as in one; f(z) d log q(z) / d mu is noisier with each.",
    predicted="the variances of both estimates of the gradient in mu_1, f(z) = log p(x|z), in closed form",
    how="`vae` with a decoder 1.5 I of d dimensions, 100,000 draws",
    tolerance=0.05,
    relative=True,
)
def variance_of_the_gradient() -> Finding:
    """Two unbiased estimates."""
    dims, mean, variance = [1, 2, 4, 8, 16], 0.2, 0.5
    cases = {}
    for d in dims:
        through, score, *_ = _draws(d, 100_000, mean, variance)
        cases[f"through the sample, d = {d}"] = (W**4 * variance / NOISE**2, float(through[:, 0].var()))
        cases[f"f d log q / d mu, d = {d}"] = (_score_variance(d, mean, variance), float(score.var()))
    marks: list[Line | Points] = []
    for name in ("through the sample", "f d log q / d mu"):
        predicted, measured = zip(*(cases[f"{name}, d = {d}"] for d in dims))
        marks += [Line(x=dims, y=predicted, theory=True), Points(x=dims, y=measured, label=name)]
    return Finding(cases, [Panel(marks=marks, x="dimensions of z", y="variance", log="xy")])


@claim(
    place="App. C.1 and C.2",
    statement="The decoders' likelihoods are densities, so bounds of different models are comparable nats.",
    predicted="1",
    how="exp of `vae`'s likelihoods, summed over the 256 binary pictures of 8 pixels and integrated over a square of two coordinates",
    tolerance=1e-9,
)
def likelihoods_are_normalised() -> Finding:
    """Sums of p(x|z) over x."""
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 8)
    coins = _vae("bernoulli", (1, 2, 4)).likelihood
    mean = torch.linspace(0.05, 0.9, 8, dtype=torch.float64)
    axis = torch.linspace(-8, 8, 161, dtype=torch.float64)
    gaussian = _vae("gaussian", (2,)).likelihood.double()
    nn.init.constant_(gaussian.log_variance, math.log(NOISE))
    heights = gaussian(torch.cartesian_prod(axis, axis), torch.tensor([[0.3, -0.7]], dtype=torch.float64)).exp().detach().reshape(161, 161)
    cases = {
        "Bernoulli": (1.0, float(coins(bits, mean.expand(256, 8)).exp().sum())),
        "Gaussian": (1.0, float(torch.trapezoid(torch.trapezoid(heights, axis), axis))),
    }
    shown, density = slice(50, 120), _normal(0.3, NOISE).log_prob(axis).exp()
    marks = [Line(x=axis[shown], y=density[shown], label="N(0.3, 0.4)", theory=True)]
    marks += [Line(x=axis[shown], y=torch.trapezoid(heights, axis)[shown], label="the Gaussian likelihood over its other coordinate")]
    return Finding(cases, [Panel(marks=marks, x="one coordinate of x", y="density")])


def _vae(likelihood: str, shape: tuple[int, ...], latent: int = 1) -> Any:
    return play(f"vae[likelihood={likelihood},latent={latent}]", nn.Identity(), nn.Identity(), shape=shape)


def _draws(d: int, n: int, mean: float, variance: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One draw a row from q = N(mean, variance I) of d dimensions.

    Returns:
        The gradient of the likelihood in mu_1 and log sigma_1^2 through the sample (n x 2); f(z) d log q / d mu_1; the likelihood; the KL.
    """
    m = _vae("gaussian", (d,), d)
    q = torch.tensor([[mean] * d + [math.log(variance)] * d], dtype=torch.float64).repeat(n, 1).requires_grad_()
    seen: list[Tensor] = []
    m.E, m.G = lambda x: q, lambda z: W * (seen.append(z.detach()) or z)  # type: ignore[func-returns-value]
    nn.init.constant_(m.likelihood.double().log_variance, math.log(NOISE))
    likelihood, divergence = m.bound(torch.full((n, d), X, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(likelihood.sum(), q)
    return gradient[:, [0, d]], likelihood.detach() * (seen[0][:, 0] - mean) / variance, likelihood.detach(), divergence.detach()


def _score_variance(d: int, mean: float, variance: float) -> float:
    """Of f(z) eps_1 / sigma where f is the sum over d coordinates of a + b eps + c eps^2."""
    miss, scale = X - W * mean, W * math.sqrt(variance)
    a, b, c = -0.5 * (math.log(2 * math.pi * NOISE) + miss**2 / NOISE), miss * scale / NOISE, -(scale**2) / (2 * NOISE)
    rest_mean, rest_variance = (d - 1) * (a + c), (d - 1) * (b**2 + 2 * c**2)
    first = a**2 + 3 * (b**2 + 2 * a * c) + 15 * c**2  # E (f_1 eps)^2
    return (first + 2 * rest_mean * (a + 3 * c) + rest_mean**2 + rest_variance - b**2) / variance


def _linear(mean: float, variance: float) -> Any:
    """`linear_vae` with p(x|z) = N(W z, NOISE) and the same q = N(mean, variance) for every x."""
    m = play("linear_vae[latent=1]", nn.Identity(), nn.Identity())
    for network in (m.G, m.E, m.likelihood):
        network.double()
    for parameter, value in (
        (m.G.weight, W), (m.G.bias, 0.0), (m.likelihood.log_variance, math.log(NOISE)),
        (m.E.mean.weight, 0.0), (m.E.mean.bias, mean), (m.E.log_variance, math.log(variance)),
    ):  # fmt: skip
        nn.init.constant_(parameter, value)
    return m


def _kl(mean: list[float], log_variance: list[float]) -> float:
    return float(elbo.kl(torch.tensor([mean], dtype=torch.float64), torch.tensor([log_variance], dtype=torch.float64)))


def _divergence(mean: float, log_variance: float) -> float:
    """KL(N(mean, variance) || N(0, 1)) by quadrature of its definition."""
    q = _normal(mean, math.exp(log_variance))
    z = q.loc + q.scale * torch.linspace(-12, 12, 2001, dtype=torch.float64)
    return float(torch.trapezoid(q.log_prob(z).exp() * (q.log_prob(z) - _normal(0.0, 1.0).log_prob(z)), z))


def _normal(mean: float, variance: float) -> Normal:
    return Normal(torch.tensor(mean, dtype=torch.float64), math.sqrt(variance))
