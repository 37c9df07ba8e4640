"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import play
from bench.figure import Bars, Figure, Line, Mark, Panel, Points

PAPER = Paper(
    title="Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    authors="Radford, Metz, Chintala",
    venue="ICLR 2016",
    year=2016,
    arxiv="1511.06434",
    lesson="What made convolutional GANs train was not a theorem but a handful of rules: strides in place of pooling, batch normalisation "
    "everywhere but where the generator ends and the critic begins, no hidden layers that are fully connected, small Gaussian weights. "
    "The generator is the critic run backwards: its fractionally strided convolutions are the transposes of the critic's strided ones. A "
    "tutorial in Keras made a smaller sibling for MNIST known.",
)

Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


@claim(
    place="Fig. 1 and Sec. 3; pytorch/examples, dcgan",
    statement="At 64 x 64 z becomes 4 x 4 x 1024 and four doublings a picture; the critic mirrors it (pytorch/examples: half as wide).",
    predicted="sum of in out K^2 over layers without biases, plus a gain and a shift a normalised unit: 18,885,760 and 17,232,768 "
    "(examples: 3,576,704 and 2,765,568)",
    how="parameters of `dcgan` as it is, and of `dcgan[kernel=4,ngf=64,ndf=64,unit_norm=false]`",
)
def parameters() -> Finding:
    """Counted by hand."""
    published = {"paper": (18_885_760, 17_232_768), "examples": (3_576_704, 2_765_568)}
    cases: dict[str, tuple[float, float]] = {}
    for name, options, w, k in (("paper", "", 128, 5), ("examples", "[kernel=4,ngf=64,ndf=64,unit_norm=false]", 64, 4)):
        up, units = [8 * w, 4 * w, 2 * w, w, 3], 8 * w * 16
        norm = units if name == "paper" else 8 * w  # the paper's code normalises each unit of the projection
        G = 100 * units + 2 * norm + sum(i * o * k * k for i, o in itertools.pairwise(up)) + 2 * sum(up[1:-1])
        D = sum(i * o * k * k for i, o in itertools.pairwise(up)) + units + 2 * sum(up[:3])
        m = _abstract(f"dcgan{options}", (3, 64, 64))
        cases |= {f"G, {name}": (float(G), _count(m.G)), f"D, {name}": (float(D), _count(m.D))}
        cases |= {f"{what}, {name}, as stated": (float(n), float(c)) for what, n, c in zip("GD", published[name], (G, D))}
    return Finding(cases, _bars(cases))


@claim(
    place="GAN by Example using Keras (Atienza 2017), its dcgan_mnist.py",
    statement="The tutorial's networks for 28 x 28 pixels: 7 x 7 x 256 and two doublings against strides 2, 2, 2, 1.",
    predicted="sums over layers with biases: generator 2,368,705 trained and 2,394,241 with running averages, critic 4,311,553",
    how="parameters of `dcgan_keras`, and the running averages of its batch norms",
)
def parameters_of_the_keras_example() -> Finding:
    """Counted by hand."""
    m, up, down = _abstract("dcgan_keras", (1, 28, 28)), [256, 128, 64, 32, 1], [1, 64, 128, 256, 512]
    units = 7 * 7 * 256
    G = 101 * units + sum(25 * i * o + o for i, o in itertools.pairwise(up)) + 2 * (units + sum(up[1:-1]))
    D = sum(25 * i * o + o for i, o in itertools.pairwise(down)) + 4 * 4 * 512 + 1
    averages = sum(b.numel() for b in m.G.buffers() if b.dim())
    cases = {
        "G": (float(G), _count(m.G)),
        "G with averages": (float(G + 2 * (units + sum(up[1:-1]))), _count(m.G) + averages),
        "D": (float(D), _count(m.D)),
        "G, as stated": (2_368_705.0, float(G)),
        "D, as stated": (4_311_553.0, float(D)),
    }
    return Finding(cases, _bars(cases))


@claim(
    place="Sec. 3, guidelines",
    statement="Strides replace pooling; only z's projection and the score are fully connected; no batch norm where G ends and D begins.",
    predicted="sides 4, 8, 16, 32, 64 and back; 4 batch norms in G, 3 in D, none at those ends; ReLU in G, LeakyReLU 0.2 in D; no pooling",
    how="the layers of `dcgan` at 64 x 64 pixels and the sides of what they return",
)
def rules() -> Finding:
    """Five guidelines."""
    m = _abstract("dcgan", (3, 64, 64))
    with torch.device("meta"):
        up, down = _sides(m.G, torch.empty(2, 100)), _sides(m.D, torch.empty(2, 3, 64, 64))
    G, D = list(_leaves(m.G)), list(_leaves(m.D))
    norms, pools = (nn.BatchNorm1d, nn.BatchNorm2d), (nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd, nn.Upsample)
    ends = [next(i for i, layer in enumerate(net) if isinstance(layer, Layer)) for net in (D, G[::-1])]
    cases = {f"side of G after layer {i}": (float(8 * 2**i), float(up[i])) for i in range(4)}
    cases |= {f"side of D after layer {i}": (float(32 / 2**i), float(down[i])) for i in range(4)}
    cases |= {
        "batch norms in G": (4.0, float(sum(isinstance(layer, norms) for layer in G))),
        "batch norms in D": (3.0, float(sum(isinstance(layer, norms) for layer in D))),
        "batch norm after G's last layer": (0.0, float(sum(isinstance(layer, norms) for layer in G[len(G) - 1 - ends[1] :]))),
        "batch norm after D's first layer": (0.0, float(isinstance(D[ends[0] + 1], norms))),
        "pooling and resizing": (0.0, float(sum(isinstance(layer, pools) for layer in G + D))),
        "fully connected layers in G": (1.0, float(sum(isinstance(layer, nn.Linear) for layer in G))),
        "fully connected layers in D": (1.0, float(sum(isinstance(layer, nn.Linear) for layer in D))),
        "ReLU in G": (4.0, float(sum(isinstance(layer, nn.ReLU) for layer in G))),
        "LeakyReLU 0.2 in D": (4.0, float(sum(isinstance(layer, nn.LeakyReLU) and layer.negative_slope == 0.2 for layer in D))),
    }
    marks: list[Mark] = [
        Line(x=range(1, 5), y=[8, 16, 32, 64], label="doublings", theory=True),
        Points(x=range(1, 5), y=up, label="generator"),
    ]
    marks += [Line(x=range(1, 5), y=[32, 16, 8, 4], label="halvings", theory=True), Points(x=range(1, 5), y=down, label="critic")]
    return Finding(cases, [Panel(marks=marks, x="strided layer", y="side")])


@claim(
    place="Sec. 3",
    statement="The generator's fractionally strided convolution is the transpose of the critic's strided one.",
    predicted="<conv(x), y> of the critic's layer, for any x and y",
    how="<x, deconv(y)> of the generator's layer at the same place with the critic's weights; `dcgan`, 32 x 32 pixels, kernels of 4 and 5",
    tolerance=1e-10,
)
def transposed_convolutions() -> Finding:
    """The critic backwards."""
    cases = {}
    for kernel in (4, 5):
        m = play(f"dcgan[kernel={kernel},ngf=8,ndf=8,z_dim=8]", nn.Identity(), nn.Identity(), shape=(3, 32, 32))
        ups = [layer for layer in m.G.double().modules() if isinstance(layer, nn.ConvTranspose2d)]
        downs = [layer for layer in m.D.double().modules() if isinstance(layer, nn.Conv2d)]
        for side, down, up in zip((32, 16, 8), downs, reversed(ups)):
            up.weight.data = down.weight.data
            x = torch.randn(1, down.in_channels, side, side, dtype=torch.float64)
            y = torch.randn(1, down.out_channels, side // 2, side // 2, dtype=torch.float64)
            cases[f"kernel {kernel}, side {side}"] = (float((down(x) * y).sum().detach()), float((x * up(y)).sum().detach()))
    predicted, measured = zip(*cases.values())
    names = [f"{kernel}, {side}" for kernel in (4, 5) for side in (32, 16, 8)]
    marks = [Bars(names=names, y=predicted, label="<conv(x), y>", theory=True), Bars(names=names, y=measured, label="<x, deconv(y)>")]
    return Finding(cases, [Panel(marks=marks, x="kernel, side", y="inner product")])


@claim(
    place="Sec. 4",
    statement="All weights start from N(0, 0.02^2).",
    predicted="standard deviation 0.02 in each layer; gains of batch norms of mean 1 and, as in the code, of deviation 0.02; shifts 0",
    how="`dcgan[ngf=16,ndf=16]` at 64 x 64 pixels, as built; the smallest layer has 1,200 weights",
    tolerance=1.6e-3,
)
def initial_weights() -> Finding:
    """Small and Gaussian."""
    m = play("dcgan[ngf=16,ndf=16]", nn.Identity(), nn.Identity(), shape=(3, 64, 64))
    cases: dict[str, tuple[float, float]] = {}
    for name, net in (("G", m.G), ("D", m.D)):
        layers = [layer for layer in _leaves(net) if isinstance(layer, Layer)]
        cases |= {f"{name}, layer {i}": (0.02, float(layer.weight.detach().std())) for i, layer in enumerate(layers)}
        norms = [layer for layer in _leaves(net) if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
        gains, shifts = (torch.cat([getattr(layer, k).detach() for layer in norms]) for k in ("weight", "bias"))
        cases |= {f"{name}, gains": (1.0, float(gains.mean())), f"{name}, largest shift": (0.0, float(shifts.abs().max()))}
        cases[f"{name}, deviation of gains"] = (0.02, float(gains.std()))
    weights = torch.cat([p.detach().flatten() for p in m.D.body.parameters() if p.dim() == 4])
    x = torch.linspace(-0.08, 0.08, 41)
    density = torch.histogram(weights, 41, range=(-0.082, 0.082), density=True).hist
    marks: list[Mark] = [
        Line(x=x, y=torch.distributions.Normal(0.0, 0.02).log_prob(x).exp(), label="N(0, 0.02^2)", theory=True),
        Points(x=x, y=density, label="weights of the critic"),
    ]
    return Finding(cases, [Panel(marks=marks, x="weight", y="density")])


def _abstract(spec: str, shape: tuple[int, ...]) -> Any:
    """A method whose networks have shapes but no numbers."""
    with torch.device("meta"):
        return play(spec, nn.Identity(), nn.Identity(), shape=shape)


def _count(network: nn.Module) -> float:
    return float(sum(p.numel() for p in network.parameters()))


def _leaves(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if not list(m.children())]


def _sides(network: nn.Module, x: torch.Tensor) -> list[int]:
    """The side of what each convolution returns."""
    sides: list[int] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda module, inputs, y: sides.append(y.shape[-1]))
    network(x)
    return sides


def _bars(cases: dict[str, tuple[float, float]]) -> Figure:
    """Counts in millions."""
    shown = {name: pair for name, pair in cases.items() if "stated" not in name}
    predicted, measured = ([pair[k] / 1e6 for pair in shown.values()] for k in (0, 1))
    marks = [Bars(names=list(shown), y=predicted, label="by hand", theory=True), Bars(names=list(shown), y=measured, label="here")]
    return [Panel(marks=marks, y="million parameters")]
