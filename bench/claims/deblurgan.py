"""DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known
from bench.figure import Bars, Heat, Line, Mark, Panel, Points
from bench.method import Batch
from methods.networks.image_nets import NORMS, PatchGAN

PAPER = Paper(
    title="DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks",
    authors="Kupyn, Budzan, Mykhailych, Mishkin, Matas",
    venue="CVPR 2018",
    year=2018,
    arxiv="1711.07064",
    lesson="Deblurring as a game: a residual network adds a correction to the blurred picture, a Wasserstein critic tells restored "
    "pictures from sharp ones by patches of 70 x 70 pixels, and a content loss keeps the result close to the truth. The critic's gradient "
    "penalty concerns the gradient of one score with respect to a whole picture: where that gradient is 1 at each pixel, its norm is the "
    "root of the number of pixels.",
)

_SMALL = "content=l1,ngf=2,ndf=2,blocks=1,critic_norm=identity"


@claim(
    place="Fig. 3, Sec. 3.2",
    statement="The generator of nine residual blocks has 11.4 million parameters, the critic 2.8 million.",
    predicted="the sum over convolutions of (k^2 c_in + 1) c_out",
    how="parameters of the networks of `deblurgan`, and of its generator with one convolution a block, as its code since March 2019",
)
def parameters() -> Finding:
    """The networks, layer by layer."""
    around = [(7, 3, 64), (3, 64, 128), (3, 128, 256), (3, 256, 128), (3, 128, 64), (7, 64, 3)]
    expected = {
        "generator": _count([*around, *[(3, 256, 256)] * 18]),
        "generator since 2019": _count([*around, *[(3, 256, 256)] * 9]),
        "critic": _count([(4, 3, 64), (4, 64, 128), (4, 128, 256), (4, 256, 512), (4, 512, 1)]),
    }
    with torch.device("meta"):
        paper, later = (_method(f"content=l1,single_conv={flag}") for flag in ("false", "true"))
    networks = dict(zip(expected, (paper.G, later.G, paper.D)))
    found = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    names = list(expected)
    marks = [Bars(names=names, y=expected.values(), label="by layers", theory=True), Bars(names=names, y=found.values(), label="built")]
    return Finding({name: (float(expected[name]), float(found[name])) for name in names}, [Panel(marks=marks, y="parameters")])


@claim(
    place="Sec. 3.2",
    statement="A score of a patch critic with n halvings sees 9 2^n - 2 pixels a side: 70 with three.",
    predicted="9 2^n - 2: convolutions of 4 x 4, n of stride 2 and two of stride 1",
    how="rows and columns of a picture on which the middle score has a gradient; no norm, as instance norm looks at the whole picture",
)
def receptive_field() -> Finding:
    """How far a score looks."""
    critics = {f"PatchGAN, n = {n}": (n, PatchGAN(ndf=2, n_layers=n, norm=NORMS["identity"])) for n in range(1, 6)}
    critics["deblurgan, n = 3"] = 3, _method(_SMALL).D
    cases: dict[str, tuple[float, float]] = {}
    for name, (n, D) in critics.items():
        seen = _seen(D.double(), 9 * 2**n + 62)
        cases |= {f"{name}, {axis}": (9.0 * 2**n - 2, float(seen.any(i).sum())) for i, axis in enumerate(("columns", "rows"))}
    side = float(len(seen))
    sight = Heat(z=seen.double()[::2, ::2], extent=(0.0, side, 0.0, side))
    return Finding(cases, [Panel(marks=[sight], x="pixels", title="what the middle score of deblurgan's critic sees", square=True)])


@claim(
    place="Sec. 3.1, WGAN-GP",
    statement="A critic whose gradient is 1 at each pixel, across colours, has one of sqrt(H W) on the picture, which the penalty takes.",
    predicted="10 (sqrt(H W) - 1)^2",
    how="the critic's loss of `deblurgan` on a linear critic without a Wasserstein term; one score, or a map of 35 x 35 equal ones",
    tolerance=1e-8,
    relative=True,
    deviation="the released code takes the norm a pixel, where this critic would pay nothing, and of the sum of the map",
)
def norm_of_a_picture() -> Finding:
    """A pixel's gradient and a picture's."""
    cases, sides = {}, (4, 8, 16, 32, 64)
    for side in sides:
        for name, scores in (("one score", 1), ("a map", 35)):
            cases[f"{side} x {side}, {name}"] = 10 * (side - 1.0) ** 2, _penalty(side, scores)
    marks: list[Mark] = [
        Line(x=sides, y=[10 * (side - 1) ** 2 for side in sides], label="10 (sqrt(H W) - 1)^2", theory=True),
        Points(x=sides, y=[cases[f"{side} x {side}, one score"][1] for side in sides], label="measured"),
    ]
    return Finding(cases, [Panel(marks=marks, x="side, pixels", y="penalty", log="xy")])


@claim(
    place="Sec. 3.1",
    statement="The generator's loss is minus the critic's score plus 100 times the content loss.",
    predicted="-s + 100 d for a critic of constant score s and a picture off by d on [-1, 1]",
    how="the generator's loss of `deblurgan[content=l1]`; pictures cross the boundary in [0, 1], where they are off by d / 2",
    tolerance=1e-9,
)
def weight_of_the_content() -> Finding:
    """What the generator minimises."""
    m, x, offsets = _method(_SMALL), torch.rand(2, 3, 8, 8, dtype=torch.float64) / 2, (0.0, 0.1, 0.5)
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Mark] = []
    for s in (-2.0, 3.0):
        m.D = Known(_constant(s))
        expected = [-s + 100 * d for d in offsets]
        found = [m.generator_loss(Batch(x, x), 2 * (x + d / 2) - 1).item() for d in offsets]
        cases |= {f"s = {s:g}, d = {d}": pair for d, pair in zip(offsets, zip(expected, found))}
        marks += [Line(x=offsets, y=expected, theory=True), Points(x=offsets, y=found, label=f"s = {s:g}")]
    return Finding(cases, [Panel(marks=marks, x="d", y="generator's loss")])


def _method(options: str) -> Any:
    return registry.make("method", f"deblurgan[{options}]")(SimpleNamespace(channels=3))


def _count(convolutions: list[tuple[int, int, int]]) -> int:
    return sum((k * k * c_in + 1) * c_out for k, c_in, c_out in convolutions)


def _seen(D: nn.Module, side: int) -> Tensor:
    """The pixels on which the score in the middle of the map depends."""
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    scores = D(x)
    (gradient,) = torch.autograd.grad(scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2], x)
    return gradient[0].abs().sum(0) > 0


def _penalty(side: int, scores: int) -> float:
    """The critic's loss at real = fake, where its Wasserstein term is 0."""
    colour = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64).view(3, 1, 1)
    m, x = _method(_SMALL), torch.rand(4, 3, side, side, dtype=torch.float64)
    m.D = Known(lambda x: (colour * x).sum((1, 2, 3))[:, None, None, None].expand(-1, 1, scores, scores))
    return m.critic_loss(Batch(x, x), 2 * x - 1).item()


def _constant(score: float) -> Callable[[Tensor], Tensor]:
    """A critic with the same 2 x 2 scores for every picture."""
    return lambda x: torch.full((len(x), 1, 2, 2), score, dtype=x.dtype)
