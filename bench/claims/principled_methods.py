"""Towards Principled Methods for Training Generative Adversarial Networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._duel import BATCH, bound_on, duel, gradient_on, trained
from bench.claims._tools import Known, jensen_shannon, play, quantiles
from bench.figure import Line, Panel, Points
from bench.method import Samples

PAPER = Paper(
    title="Towards Principled Methods for Training Generative Adversarial Networks",
    authors="Arjovsky, Bottou",
    venue="ICLR 2017",
    year=2017,
    arxiv="1701.04862",
    lesson="Data and samples lie on thin sets that hardly meet, so a critic can tell them apart perfectly: the Jensen-Shannon divergence "
    "is log 2 however near they are, and the closer the critic comes to perfection, the less the generator can learn from it. The -log D "
    "trick descends KL - 2 JSD instead, whose second term pushes the wrong way, and its updates have heavy tails as soon as the critic "
    "errs.\n\n"
    "Noise on the critic's inputs mends this: noisy distributions overlap, their divergence has a gradient, and together with the size of "
    "the noise it bounds the Wasserstein distance of the clean ones.",
)

_STAGES = (25, 50, 100, 200, 400, 700, 1000)  # critic steps
_GAN, _NOISY = (f"{name}adversarial=saturating,optimizer=adam[lr=1e-3]]" for name in ("gan[", "instance_noise_gan[sigma=1,"))


@claim(
    place="Thm. 2.1, 2.2 and 2.3",
    statement="On supports that do not meet there is a perfect critic: it is always right, and the divergence it shows is log 2.",
    predicted="accuracy 1; (log 4 - the critic's loss) / 2 = log 2",
    how="`gan`'s critic after 200 steps of `adam[lr=1e-3]` on a ring of eight Gaussians against a fixed random generator; 2,000 of each",
    tolerance=0.02,
)
def perfect_critic() -> Finding:
    """A critic that wins."""
    m, shown = duel(_GAN), []
    ring = registry.make("dataset", "ring").draw(2000, torch.Generator().manual_seed(1))
    for t in trained(m, range(0, 201, 25)):
        shown.append((t, (math.log(4) - m.critic_loss(ring).item()) / 2))
    with torch.no_grad():
        right = torch.cat((m.D(ring.x) > 0, m.D(m.fake(2000)) < 0)).double().mean()
    steps, divergence = zip(*shown)
    marks = [Line(x=[0, 200], y=[math.log(2)] * 2, label="log 2", theory=True), Line(x=steps, y=divergence, label="shown by the critic")]
    cases = {"accuracy": (1.0, float(right)), "JSD": (math.log(2), divergence[-1])}
    return Finding(cases, [Panel(marks=marks, x="critic steps", y="JSD in nats")])


@claim(
    place="Thm. 2.4",
    statement="The nearer the critic comes to a perfect one, the less gradient of log(1 - D) reaches the generator.",
    predicted="at most M e / (1 - e): e = largest D plus largest |grad D| on the fakes, M^2 = mean |dG/dtheta|^2; after 1,000 critic steps "
    "at most a hundredth of what there was after 25",
    how="the gradient of the generator's loss of `gan[adversarial=saturating]` on 256 fakes, generator fixed, data `ring`, `adam[lr=1e-3]`",
    relation="<=",
    cost="slow",
)
def vanishing_gradient() -> Finding:
    """How fast a generator starves."""
    m, z, seen, bounds = duel(_GAN), torch.randn(BATCH, 2), [], []
    for _ in trained(m, _STAGES):
        seen.append(gradient_on(m, z))
        bounds.append(bound_on(m, z))
    cases = {f"{t} steps": (bound, norm) for t, bound, norm in zip(_STAGES, bounds, seen)}
    cases["left of that at 25"] = (0.01, seen[-1] / seen[0])
    marks = [Line(x=_STAGES, y=bounds, label="bound", theory=True), Line(x=_STAGES, y=seen, label="gradient")]
    return Finding(cases, [Panel(marks=marks, x="critic steps", y="norm of the generator's gradient", log="xy")])


@claim(
    place="Sec. 2.2.2, Thm. 2.5",
    statement="Under the best critic log(1 - D) descends 2 JSD, and -log D descends KL(fake, real) - 2 JSD.",
    predicted="the derivative by delta, by quadrature",
    how="the derivatives of both generator's losses of `gan` at D*, real N(0, 1), fake N(delta, 1), 20,000 quantiles",
    tolerance=1e-4,
)
def what_the_losses_descend() -> Finding:
    """Two losses, two divergences."""
    shifts = [0.25 * k for k in range(1, 21)]
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for name, label in (("saturating", "log(1 - D)"), ("nonsaturating", "-log D")):
        slopes = []
        for shift in shifts:
            delta = torch.tensor(shift, dtype=torch.float64, requires_grad=True)
            jsd = _gaussian_jsd(delta, 1.0)
            aim = 2 * jsd if name == "saturating" else delta**2 / 2 - 2 * jsd
            fake = delta + quantiles(20_000)[:, None]
            m = play(f"gan[adversarial={name}]", nn.Linear(1, 1), Known(_log_odds(shift, 1.0)), fake=fake)
            slopes.append([torch.autograd.grad(y, delta)[0].item() for y in (aim, m.generator_loss(Samples(fake)))])
        predicted, measured = zip(*slopes)
        cases |= {f"{label}, delta = {shifts[k]:g}": (predicted[k], measured[k]) for k in (1, 3, 7, 15)}
        marks += [Line(x=shifts, y=predicted, label=label, theory=True), Points(x=shifts, y=measured, label=f"{name}, measured")]
    return Finding(cases, [Panel(marks=marks, x="delta", y="derivative by delta")])


@claim(
    place="Thm. 2.6",
    statement="Where the critic and its gradient err by white noise, an update of -log D is Cauchy: a mean over a batch does not tame it.",
    predicted="P(|u| > x) = 1 - 2/pi arctan(x / 2) of a Cauchy law of scale 2, that of the two errors' ratio",
    how="the gradient of `gan`'s generator loss under a critic whose D is |N(0, 0.01)| and grad D N(0, 0.02), 100,000 batches of 1, 16",
    tolerance=0.1,
    relative=True,
    deviation="D - D* is taken by its size, |N(0, s)|: as printed, D on a fake would be below 0 half of the time, where no logarithm "
    "exists. The ratio's law is the same; so is that of a batch's mean.",
)
def cauchy_updates() -> Finding:
    """Heavy tails."""
    x = torch.logspace(-1, 3, 40, dtype=torch.float64)
    cases: dict[str, tuple[float, float]] = {}
    tail = 1 - 2 / math.pi * (x / 2).atan()
    marks: list[Line | Points] = [Line(x=x, y=tail, label="Cauchy", theory=True)]
    for size in (1, 16):
        theta = torch.zeros(100_000, 1, dtype=torch.float64, requires_grad=True)  # one a batch
        m = play("gan", nn.Linear(1, 1), Known(_white_noise), fake=theta.repeat_interleave(size, 0))
        (gradient,) = torch.autograd.grad(m.generator_loss(Samples(theta)), theta)
        update = (gradient * len(theta)).abs()
        found = (update > x).double().mean(0)
        cases |= {
            f"batches of {size}, x = {t}": (1 - 2 / math.pi * math.atan(t / 2), float((update > t).double().mean())) for t in (2, 20, 100)
        }
        marks.append(Points(x=x, y=found, label=f"batches of {size}"))
    return Finding(cases, [Panel(marks=marks, x="x", y="P(|update| > x)", log="xy")])


@claim(
    place="Thm. 3.1",
    statement="With noise on both sides even two points have a best critic that errs, and a divergence that tells how far apart they are.",
    predicted="JSD(N(0, s^2), N(delta, s^2)), by quadrature",
    how="(log 4 - the critic's loss of `instance_noise_gan[sigma=0.5]` at D*) / 2 on a real 0 and a fake delta, noise drawn 200,000 times",
    tolerance=5e-3,
)
def divergence_of_noisy_points() -> Finding:
    """Noise makes points comparable."""
    cases, ratios = {}, [0.1, 0.5, 1.0, 2.0, 4.0, 8.0]
    for ratio in ratios:
        m = _noisy_points(0.5, torch.full((200_000, 1), 0.5 * ratio, dtype=torch.float64))
        found = (math.log(4) - m.critic_loss(Samples(torch.zeros(200_000, 1, dtype=torch.float64))).item()) / 2
        cases[f"delta / s = {ratio:g}"] = (_gaussian_jsd(torch.tensor(0.5 * ratio), 0.5).item(), found)
    predicted, measured = zip(*cases.values())
    marks = [
        Line(x=ratios, y=predicted, label="quadrature", theory=True),
        Line(x=[0, 8], y=[math.log(2)] * 2, label="without noise", theory=True),
    ]
    return Finding(
        cases, [Panel(marks=[*marks, Points(x=ratios, y=measured, label="shown by the critic")], x="delta / s", y="JSD in nats")]
    )


@claim(
    place="Thm. 3.2",
    statement="With noise on its fakes a generator under the best critic descends twice the divergence of the noisy distributions.",
    predicted="the derivative of 2 JSD(N(0, s^2), N(delta, s^2)) by delta, by quadrature",
    how="the derivative of the generator's loss of `instance_noise_gan` at D*, a fake point delta, 200,000 draws of noise s = 0.5, 2",
    tolerance=0.01,
)
def noise_gives_a_gradient() -> Finding:
    """A point is pulled to another."""
    shifts = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0]
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for s in (0.5, 2.0):
        slopes = []
        for shift in shifts:
            delta = torch.tensor(shift, dtype=torch.float64, requires_grad=True)
            fake = delta.expand(200_000, 1)
            losses = 2 * _gaussian_jsd(delta, s), _noisy_points(s, fake).generator_loss(Samples(fake))
            slopes.append([torch.autograd.grad(y, delta)[0].item() for y in losses])
        predicted, measured = zip(*slopes)
        cases |= {f"s = {s:g}, delta = {shift:g}": (a, b) for shift, a, b in zip(shifts, predicted, measured)}
        marks += [Line(x=shifts, y=predicted, label=f"s = {s:g}", theory=True), Points(x=shifts, y=measured, label=f"s = {s:g}, measured")]
    return Finding(cases, [Panel(marks=marks, x="delta", y="derivative by delta")])


@claim(
    place="Sec. 3",
    statement="Once noise is added to its inputs the critic can be trained to the end, and a gradient still reaches the generator.",
    predicted="after any number of critic steps at least a third of the gradient that there was after 25",
    how="as in `vanishing_gradient`, with `instance_noise_gan[sigma=1]` on the same networks and data",
    relation=">=",
    cost="slow",
)
def noise_keeps_the_gradient() -> Finding:
    """The remedy at work."""
    z, marks = torch.randn(BATCH, 2), []
    for label, spec in (("clean", _GAN), ("with noise", _NOISY)):
        m = duel(spec)
        seen = [gradient_on(m, z) for _ in trained(m, _STAGES)]
        marks.append(Line(x=_STAGES, y=seen, label=label))
    cases = {f"{t} steps": (seen[0] / 3, norm) for t, norm in zip(_STAGES, seen)}
    return Finding(cases, [Panel(marks=marks, x="critic steps", y="norm of the generator's gradient", log="xy")])


@claim(
    place="Lemma 4, Thm. 3.3",
    statement="Noise of variance V moves a law by sqrt(V) at most, so a small noise and a small noisy divergence mean a small distance.",
    predicted="W(X, X + e) <= sqrt(V); W(P, Q) <= 2 sqrt(V) + 2 C sqrt(JSD of the noisy laws), C the diameter of their support",
    how="`sliced_wasserstein[order=1]`, which on a line is W: points with noise N(0, 1); U(0, 1), U(delta, delta + 1) with U(-a, a)",
    tolerance=1e-5,
    relation="<=",
)
def noise_bounds_the_distance() -> Finding:
    """What the noise costs."""
    law, flips, point = quantiles(500), torch.tensor([-0.5, 0.5], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    noises = {"point, e = +-0.5": (point, flips), "point, e ~ N(0, 0.5^2)": (point, law / 2), "N(0, 1), e ~ N(0, 0.5^2)": (law, law / 2)}
    cases = {name: (0.5, _distance(x.repeat(len(e)), (x[:, None] + e).flatten())) for name, (x, e) in noises.items()}
    widths, marks, uniform = torch.logspace(-2, 0, 20, dtype=torch.float64), [], (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    for delta in (0.1, 1.0):
        bounds = [_noise_bound(delta, a) for a in widths.tolist()]
        distance = _distance(uniform, uniform + delta)
        cases |= {f"delta = {delta:g}, a = {widths[k]:.2g}": (bounds[k], distance) for k in (0, 9, 19)}
        marks += [Line(x=widths, y=bounds, label=f"bound, delta = {delta:g}", theory=True), Line(x=widths, y=[distance] * 20, label="W")]
    return Finding(cases, [Panel(marks=marks, x="a, half the width of the noise", y="distance", log="xy")])


def _gaussian_jsd(delta: Tensor, s: float) -> Tensor:
    """JSD(N(0, s^2), N(delta, s^2)), by quadrature."""
    x = torch.linspace(-12 * s, 20 * s, 20_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(mean, s).log_prob(x).exp() for mean in (0.0 * delta, delta))
    return jensen_shannon(p, q, x)


def _log_odds(delta: float, s: float) -> Callable[[Tensor], Tensor]:
    """Map x to log p / q of N(0, s^2) against N(delta, s^2): the score of D*."""
    return lambda x: delta / s**2 * (delta / 2 - x[:, 0])


def _noisy_points(s: float, fake: Tensor) -> Any:
    """The game of the point 0 against that of `fake` under noise of deviation s, the critic at its best."""
    return play(f"instance_noise_gan[sigma={s}]", nn.Linear(1, 1), Known(_log_odds(float(fake[0].detach()), s)), fake=fake)


def _white_noise(x: Tensor) -> Tensor:
    """Scores of a critic whose D and whose gradient are noise, afresh at each sample."""
    D, slope = 0.01 * torch.randn(len(x), dtype=torch.float64).abs(), 0.02 * torch.randn(len(x), dtype=torch.float64)
    return D.logit() + slope / (D * (1 - D)) * (x - x.detach())[:, 0]


def _distance(a: Tensor, b: Tensor) -> float:
    """W of two sets on a line."""
    return float(
        registry.make("metric", "sliced_wasserstein[order=1,directions=1,net=pixels]")(a[:, None], b[:, None])["sliced_wasserstein"]
    )


def _noise_bound(delta: float, a: float) -> float:
    """Thm. 3.3 for U(0, 1) and U(delta, delta + 1) under noise U(-a, a), whose densities are trapezes."""
    x = torch.linspace(-a, 1 + delta + a, 20_001, dtype=torch.float64)
    p, q = (((x - k + a).clamp(max=1) - (x - k - a).clamp(min=0)).clamp(min=0) / (2 * a) for k in (0.0, delta))
    return 2 * a / math.sqrt(3) + 2 * (1 + delta + 2 * a) * math.sqrt(jensen_shannon(p, q, x))
