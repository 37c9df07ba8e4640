"""Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from bench.claim import Finding, Paper, claim
from bench.claims._tools import minimise, play
from bench.figure import Bars, Heat, Line, Panel, Points
from methods.elbo import kl

PAPER = Paper(
    title="Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse",
    authors="Lucas, Tucker, Grosse, Norouzi",
    venue="NeurIPS 2019",
    year=2019,
    arxiv="1911.02469",
    lesson="A VAE whose encoder and decoder are linear is probabilistic PCA, whose likelihood has a closed-form maximum (Tipping and "
    "Bishop 1999). The bound costs nothing there; that its posterior has independent coordinates even turns the latents to the principal "
    "axes, which the likelihood alone leaves free to rotate.\n\n"
    "A latent collapses where the noise of the decoder exceeds the variance of its axis: its posterior is the prior, and it tells "
    "nothing. That is the likelihood's own optimum, not a fault of the bound.",
)

SPREADS = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2], dtype=torch.float64)  # standard deviations along hidden axes


@claim(
    place="Sec. 4.1; Tipping and Bishop 1999",
    statement="The best bound of a linear VAE is the greatest likelihood of probabilistic PCA, its noise the mean eigenvalue left out.",
    predicted="log N(x; mean, C) a sample, C from the eigenvalues of the data's covariance",
    how="`linear_vae`, 1 to 3 latents, by L-BFGS on its bound for 300 points in five dimensions",
    tolerance=1e-5,
)
def best_bound_is_pca() -> Finding:
    """The optimum against eigenvalues."""
    x = _data()
    cases: dict[str, tuple[float, float]] = {}
    for latent in (1, 2, 3):
        values, vectors = _axes(x)
        noise = float(values[latent:].mean())
        m, bound = _fitted(x, latent)
        model = vectors @ torch.diag(torch.cat([values[:latent], values.new_full((5 - latent,), noise)])) @ vectors.T
        cases[f"bound, {latent} latents"] = (float(MultivariateNormal(x.mean(0), model).log_prob(x).mean()), bound)
        cases[f"noise, {latent} latents"] = (noise, math.exp(m.likelihood.log_variance.item()))
    panels = []
    for name in ("bound", "noise"):
        predicted, measured = zip(*(pair for case, pair in cases.items() if case.startswith(name)))
        theory = Line(x=range(1, 4), y=predicted, label="probabilistic PCA", theory=True)
        panels.append(
            Panel(
                marks=[theory, Points(x=range(1, 4), y=measured, label="`linear_vae`")],
                x="latents",
                y="nats" if name == "bound" else "variance",
                title=name,
            )
        )
    return Finding(cases, panels)


@claim(
    place="Sec. 4.2",
    statement="A posterior with independent coordinates turns the latents to the principal axes.",
    predicted="W'W = diag(lambda_i - noise), whose off-diagonal entries are 0, and W'x has variance lambda_i (lambda_i - noise)",
    how="W of `linear_vae` with 3 latents, at the best bound for the same 300 points; columns by their norm",
    tolerance=1e-3,
)
def latents_are_principal_axes() -> Finding:
    """No rotation is left."""
    x = _data()
    values, _ = _axes(x)
    m, _ = _fitted(x, 3)
    w = m.G.weight.detach()
    w = w[:, w.norm(dim=0).argsort(descending=True)]
    noise = float(values[3:].mean())
    found, spread = w.T @ w, ((x - x.mean(0)) @ w).var(0, correction=0)
    cases = {f"squared norm {i + 1}": (float(values[i]) - noise, float(found[i, i])) for i in range(3)}
    cases |= {"greatest entry off the diagonal": (0.0, float((found - found.diag().diag()).abs().max()))}
    cases |= {f"variance of W'x, {i + 1}": (float(values[i] * (values[i] - noise)), float(spread[i])) for i in range(3)}
    expected = values[:3] - noise
    bars = [
        Bars(names=["1", "2", "3"], y=expected, label="lambda - noise", theory=True),
        Bars(names=["1", "2", "3"], y=found.diag(), label="squared norm of W's column"),
    ]
    return Finding(cases, [Panel(marks=bars, x="axis"), Panel(marks=[Heat(z=found)], title="W'W")])


@claim(
    place="Sec. 4.3",
    statement="With the noise held at s^2 a latent tells 1/2 log(lambda / s^2) nats of its axis, none where s^2 exceeds lambda.",
    predicted="1/2 log(lambda_i / s^2) where positive, else 0, for each axis",
    how="the mean KL of each of 3 latents of `linear_vae` at the best bound, at five levels of noise",
    tolerance=1e-3,
)
def collapse() -> Finding:
    """Latents that switch off."""
    x = _data()
    values, _ = _axes(x)
    levels = [0.4, 1.5, 3.0, 6.0, 12.0]
    cases: dict[str, tuple[float, float]] = {}
    told = []
    for level in levels:
        m, _ = _fitted(x, 3, noise=level)
        told.append(_nats(m, x).sort(descending=True).values)
        cases |= {
            f"s^2 = {level:g}, axis {i + 1}": (max(0.0, 0.5 * math.log(float(values[i]) / level)), float(told[-1][i])) for i in range(3)
        }
    curve = torch.logspace(-0.5, 1.2, 100, dtype=torch.float64)
    marks: list[Line | Points] = []
    for i in range(3):
        marks += [
            Line(x=curve, y=(values[i] / curve).log().clamp(min=0) / 2, theory=True),
            Points(x=levels, y=[row[i] for row in told], label=f"axis {i + 1}"),
        ]
    return Finding(cases, [Panel(marks=marks, x="noise s^2", y="KL in nats", log="x")])


def _data(n: int = 300) -> Tensor:
    """Gaussian points in five dimensions, turned and shifted: n x 5, float64."""
    rng = torch.Generator().manual_seed(0)
    x, turn = torch.randn(n, 5, generator=rng, dtype=torch.float64), torch.randn(5, 5, generator=rng, dtype=torch.float64)
    return x * SPREADS @ torch.linalg.qr(turn).Q + 1


def _axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the covariance, greatest first, and eigenvectors in columns."""
    values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
    return values.flip(0), vectors.flip(1)


def _fitted(x: Tensor, latent: int, noise: float | None = None) -> tuple[Any, float]:
    """`linear_vae` at its best bound, and that; `noise` is held where given."""
    m = play(f"linear_vae[latent={latent}]", nn.Identity(), nn.Identity(), shape=(5,))
    parameters = [p for network in (m.E, m.G, m.likelihood) for p in network.double().parameters()]
    if noise:
        nn.init.constant_(m.likelihood.log_variance, math.log(noise))
        parameters.pop()

    def loss() -> Tensor:
        likelihood, divergence = m.bound(x)
        return (divergence - likelihood).mean()

    return m, -minimise(loss, parameters, precision=1e-12)


def _nats(m: Any, x: Tensor) -> Tensor:
    """The mean KL of each latent from N(0, 1)."""
    mean, log_variance = m.E(x)
    return torch.stack([kl(mean[:, [i]], log_variance[:, [i]]).mean() for i in range(mean.shape[1])]).detach()
