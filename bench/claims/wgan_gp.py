"""Improved Training of Wasserstein GANs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, play
from bench.figure import Arrows, Line, Panel, Points
from bench.method import Samples
from methods.networks.backbones import mlp_critic
from methods.penalties import gradient_norm, gradient_penalty

PAPER = Paper(
    title="Improved Training of Wasserstein GANs",
    authors="Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville",
    venue="NIPS 2017",
    year=2017,
    arxiv="1704.00028",
    lesson="The best critic of the Wasserstein game has slope 1 along every line on which mass is moved from samples to data. So instead "
    "of clipping its weights, penalise the square of its slope minus 1, at random points between real and fake samples.\n\n"
    "The penalty is soft: a critic buys a higher gain by a slope a little above 1, so the distance it reports is too large, by W^2 / (4 "
    "lambda) where the whole mass moves by the same W.",
)


@claim(
    place="Sec. 3, Prop. 1",
    statement="The best critic's gain is W; all along the line from a fake to its real partner its gradient is the unit vector along it.",
    predicted="W: the least mean distance over all 5,040 pairings; slope along the line 1",
    how="seven real and seven fake points in the plane: `wgan_gp`'s critic loss, penalty included, at the best pairing's potential",
    tolerance=1e-9,
)
def unit_slope_of_the_best_critic() -> Finding:
    """Kantorovich's potential."""
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 7, 2, generator=rng, dtype=torch.float64) + torch.tensor([[[1.5, 0.0]], [[-1.5, 0.0]]])
    cost = torch.cdist(real, fake)
    order = torch.tensor(list(itertools.permutations(range(7))))
    work, best = cost[torch.arange(7), order].mean(1).min(0)
    partners = fake[order[best]]
    f = _potential(real, partners)
    m = play("wgan_gp", nn.Linear(1, 1), Known(f), fake=fake, shape=(2,))
    lines = torch.lerp(partners[:, None], real[:, None], torch.linspace(0.05, 0.95, 10, dtype=torch.float64)[:, None])  # 7 x 10 x 2
    x = lines.flatten(0, 1).requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x)
    along = (slope * torch.nn.functional.normalize(real - partners, dim=1).repeat_interleave(10, 0)).sum(1)
    cases = {"W": (float(work), -m.critic_loss(Samples(real)).item()), "least slope": (1.0, along.min().item())}
    cases["largest slope"] = (1.0, gradient_norm(m.D, lines.flatten(0, 1)).max().item())
    where = x.detach()[::3]
    arrows = Arrows(x=where[:, 0], y=where[:, 1], u=slope[::3, 0] / 4, v=slope[::3, 1] / 4)
    ends = [Points(x=p[:, 0], y=p[:, 1], label=label) for label, p in (("real", real), ("fake", fake))]
    paths = [Line(x=pair[:, 0], y=pair[:, 1], theory=True) for pair in torch.stack((partners, real), 1)]
    return Finding(cases, [Panel(marks=[*paths, arrows, *ends], square=True, title="transport, and the critic's gradient")])


@claim(
    place="Eq. 3",
    statement="The penalty asks for slope 1 on both sides, wherever it is measured.",
    predicted="(|a| - 1)^2 for the critic a . x, whatever the samples",
    how="`gradient_penalty` of linear critics of points and of 3 x 8 x 8 pictures, and its gradient by a, 2 (|a| - 1) a / |a|, by the norm",
    tolerance=1e-9,
)
def penalty_of_a_linear_critic() -> Finding:
    """A parabola with its foot at 1."""
    sizes, curves = torch.linspace(0.1, 2.5, 13, dtype=torch.float64), []
    cases: dict[str, tuple[float, float]] = {}
    for shape in ((2,), (3, 8, 8)):
        real, fake = torch.rand(2, 16, *shape, dtype=torch.float64)
        direction = torch.nn.functional.normalize(torch.randn(math.prod(shape), dtype=torch.float64), dim=0)
        values = []
        for size in sizes:
            a = (size * direction).requires_grad_()
            value = gradient_penalty(lambda x, a=a: x.flatten(1) @ a, real, fake)  # type: ignore[misc]
            values.append((float(size - 1) ** 2, value.item()))
            (by_a,) = torch.autograd.grad(value, a)
        name = " x ".join(map(str, shape))
        cases |= {f"{name}, |a| = {sizes[k]:.1f}": values[k] for k in (0, 6, 12)}
        cases[f"{name}, slope by |a|"] = (2 * (float(sizes[-1]) - 1), float(by_a @ direction))
        curves.append(Points(x=sizes, y=[v for _, v in values], label=name))
    parabola = Line(x=sizes, y=(sizes - 1) ** 2, label="(|a| - 1)^2", theory=True)
    return Finding(cases, [Panel(marks=[parabola, *curves], x="|a|", y="penalty")])


@claim(
    place="Eq. 3",
    statement="A finite lambda lets the critic overstep slope 1: the distance of two points is overestimated by its square over 4 lambda.",
    predicted="slope 1 + theta / (2 lambda), gain less penalty theta + theta^2 / (4 lambda)",
    how="the critic's loss of `wgan_gp[adversarial=wgan_gp[gp=lambda]]`, a linear critic, real theta, fake 0, minimised by 40 `sgd` steps",
    tolerance=1e-6,
)
def price_of_a_soft_constraint() -> Finding:
    """The bias of the penalty."""
    shifts = (0.25, 0.5, 1.0, 2.0, 3.0)
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = [Line(x=(0, 3), y=(0, 3), label="W")]
    for gp in (0.1, 1.0, 10.0):
        values = []
        for theta in shifts:
            D = nn.Linear(1, 1, dtype=torch.float64)
            nn.init.constant_(D.weight, 0.5)
            spec = f"wgan_gp[adversarial=wgan_gp[gp={gp}],steps=1,n_critic=40,optimizer=sgd[lr={0.25 / gp}]]"
            m = play(spec, nn.Linear(1, 1), D, fake=torch.zeros(4, 1, dtype=torch.float64))
            real = Samples(torch.full((4, 1), theta, dtype=torch.float64))
            next(m.train(itertools.repeat(real)))
            values.append((theta + theta**2 / (4 * gp), -m.critic_loss(real).item()))
            if theta in (1.0, 3.0):
                name = f"theta = {theta:g}, lambda = {gp:g}"
                cases |= {f"slope, {name}": (1 + theta / (2 * gp), D.weight.item()), f"value, {name}": values[-1]}
        predicted, measured = zip(*values)
        marks += [Line(x=shifts, y=predicted, label=f"lambda = {gp:g}", theory=True), Points(x=shifts, y=measured, label="measured")]
    return Finding(cases, [Panel(marks=marks, x="theta", y="distance reported")])


@claim(
    place="Prop. 1, Cor. 1",
    statement="So a trained critic's gradient has norm 1 on the lines of transport, and points along them.",
    predicted="mean norm 1, mean cosine with the line 1",
    how="the loop of `wgan_gp`, 500 critic steps of `adam[lr=1e-3]` on a 2-64-64-1 critic, 128 real samples on a circle of radius 2, "
    "fakes on that of radius 1",
    tolerance=0.1,
    cost="slow",
)
def unit_gradient_of_a_trained_critic() -> Finding:
    """Two circles."""
    rng = torch.Generator().manual_seed(0)

    def circle(radius: float, n: int = 128) -> Tensor:
        angle = 2 * math.pi * torch.rand(n, generator=rng)
        return radius * torch.stack((angle.cos(), angle.sin()), 1)

    D = mlp_critic((2,), (64, 64))
    m = play("wgan_gp[steps=1,n_critic=500,optimizer=adam[lr=1e-3]]", nn.Linear(1, 1), D, shape=(2,))
    m.fake = lambda n: circle(1.0, n)
    next(m.train(iter(lambda: Samples(circle(2.0)), None)))
    angle = 2 * math.pi * torch.arange(32) / 32
    outward = torch.stack((angle.cos(), angle.sin()), 1)
    radii = torch.linspace(1.05, 1.95, 10)
    x = (radii[:, None, None] * outward).flatten(0, 1).requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x)
    norms = slope.norm(dim=1)
    cosine = (slope * outward.repeat(10, 1)).sum(1) / norms
    cases = {"norm": (1.0, float(norms.mean())), "cosine": (1.0, float(cosine.mean()))}
    at, by = (t.detach().view(10, 32, 2)[::4, ::2].flatten(0, 1) for t in (x, slope / 4))
    marks = [Points(x=2 * outward[:, 0], y=2 * outward[:, 1], label="real"), Points(x=outward[:, 0], y=outward[:, 1], label="fake")]
    field = Panel(
        marks=[*marks, Arrows(x=at[:, 0], y=at[:, 1], u=by[:, 0], v=by[:, 1])], square=True, title="the trained critic's gradient"
    )
    curve = [Line(x=[1, 2], y=[1, 1], label="theory", theory=True), Line(x=radii, y=norms.view(10, 32).mean(1), label="trained")]
    return Finding(cases, [field, Panel(marks=curve, x="distance from the centre", y="mean norm of the gradient")])


def _potential(real: Tensor, partners: Tensor) -> Callable[[Tensor], Tensor]:
    """The best 1-Lipschitz function of N pairs: f(real) - f(partner) is the length of each pair, by Bellman and Ford's shortest paths."""
    cost = torch.cdist(real, partners)
    g = torch.zeros(len(real), dtype=real.dtype)  # f of the partners
    for _ in g:
        g = (g + cost - cost.diagonal()[:, None]).min(1).values
    return lambda x: (g + torch.cdist(x, partners)).min(1).values
