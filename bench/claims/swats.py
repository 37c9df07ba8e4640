"""Improving Generalization Performance by Switching from Adam to SGD."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._optimization import optimizer, path
from bench.figure import Line, Panel

PAPER = Paper(
    title="Improving Generalization Performance by Switching from Adam to SGD",
    authors="Keskar, Socher",
    venue="arXiv 2017",
    year=2017,
    arxiv="1712.07628",
    lesson="Adam is fast at first, gradient descent generalises better in the end: so start with one and switch to the other. In each "
    "step SWATS asks which rate gamma would make a step of descent, projected on Adam's step p, equal to it: gamma = p.p / -p.g. Once the "
    "average of gamma agrees with its last value, that average becomes the rate of descent with momentum, for good.",
)

_RATE, _SLOPES = 1e-3, torch.tensor([1.0, -2.0, 5.0], dtype=torch.float64)
_ALONG = 1 - 1e-9


@claim(
    place="Alg. 1",
    statement="On a constant slope c in n dimensions Adam's steps are +-a, gamma is n a / |c|_1 at once, SWATS switches after two steps.",
    predicted="steps of a, a, then (1 - 0.9^j) n a c / |c|_1 in the j-th step of descent, whose velocity starts at 0",
    how="steps of `swats[lr=0.001]` along c = (1, -2, 5), in units of a",
    tolerance=1e-5,
)
def switch_on_a_slope() -> Finding:
    """A switch that can be computed by hand."""
    w = path(f"swats[lr={_RATE}]", torch.zeros(3, dtype=torch.float64), lambda w: w @ _SLOPES, 62)
    steps = (w[:-1] - w[1:]) / _RATE
    velocity = 1 - 0.9 ** torch.arange(1, 61, dtype=torch.float64)
    descent = velocity[:, None] * 3 * _SLOPES / _SLOPES.abs().sum()
    expected = torch.cat([_SLOPES.sign().expand(2, 3), descent])
    cases = {
        f"step {k}, c = {c:g}": (float(expected[k - 1, i]), float(steps[k - 1, i])) for k in (1, 2, 3, 4, 62) for i, c in enumerate(_SLOPES)
    }
    marks = [Line(x=range(1, 63), y=steps[:, i], label=f"c = {c:g}") for i, c in enumerate(_SLOPES)]
    marks += [Line(x=range(1, 63), y=expected[:, i], theory=True) for i in range(3)]
    return Finding(cases, [Panel(marks=marks, x="step", y="step / a")])


@claim(
    place="Alg. 1, line 17",
    statement="Under the noise of batches the average of gamma never comes within the tolerance of its last value: all steps are Adam's.",
    predicted="no step of descent, that is with d - 0.9 d_before, d the step, along its gradient",
    how="`swats` at its defaults on the bundled digits: a 64-32-10 network, 500 batches of 64",
    deviation="the paper reports that the switch comes; with its absolute tolerance it does not, here, within 500 steps",
)
def absolute_tolerance() -> Finding:
    """The criterion to the letter."""
    along, figure = _training("swats[lr=0.001]")
    return Finding({"steps of descent": (0.0, float((along > _ALONG).sum()))}, figure)


@claim(
    place="Sec. 3",
    statement="With a tolerance of a hundredth of gamma instead, the switch comes early in training, and is for good.",
    predicted="every one of the last 300 steps is one of descent",
    how="`swats[rtol=0.01]`, as above",
    deviation="the paper's tolerance is absolute",
)
def relative_tolerance() -> Finding:
    """A criterion that noise lets through."""
    along, figure = _training("swats[lr=0.001,rtol=0.01]")
    return Finding({"steps of descent": (300.0, float((along[-300:] > _ALONG).sum()))}, figure)


def _training(spec: str, steps: int = 500) -> tuple[Tensor, list[Panel]]:
    """The cosine of -(d - 0.9 d_before), d a step, with its gradient, for each step but the first; beside the losses."""
    weights, gradients, losses = _train(spec, steps)
    d = weights.diff(dim=0)
    along = F.cosine_similarity(0.9 * d[:-1] - d[1:], gradients[1:], dim=1)
    loss = losses.unfold(0, 50, 1).mean(1)
    panels = [Panel(marks=[Line(x=range(0, len(loss), 10), y=loss[::10], label="SWATS")], x="step", y="loss, mean of 50", log="y")]
    return along, [
        *panels,
        Panel(marks=[Line(x=range(2, steps, 5), y=along[::5])], x="step", y="cosine with the gradient", title="1 in descent"),
    ]


def _train(spec: str, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """All weights before each step and at the end, their gradients, the losses; float64."""
    digits = registry.make("dataset", "digits[size=8]").open(None, "train")
    rng = torch.Generator().manual_seed(0)
    w1, w2 = (nn.Parameter(torch.randn(s, generator=rng, dtype=torch.float64) / s[0] ** 0.5) for s in ((65, 32), (33, 10)))
    opt = optimizer(spec, [w1, w2])
    weights, gradients, losses = [], [], []
    for _ in range(steps):
        batch = digits.draw(64, rng)
        hidden = F.pad(batch.x.double().flatten(1), (0, 1), value=1) @ w1  # a constant input for the bias
        loss = F.cross_entropy(F.pad(hidden.relu(), (0, 1), value=1) @ w2, batch.labels)
        gradient = torch.autograd.grad(loss, [w1, w2])
        weights.append(_flat(w1, w2))
        w1.grad, w2.grad = gradient
        opt.step()
        gradients.append(_flat(*gradient))
        losses.append(loss.detach())
    return torch.stack([*weights, _flat(w1, w2)]), torch.stack(gradients), torch.stack(losses)


def _flat(*tensors: Tensor) -> Tensor:
    return torch.cat([t.detach().flatten() for t in tensors])
