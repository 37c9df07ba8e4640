"""All You Need Is a Good Init."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.figure import Line, Panel, Points

PAPER = Paper(
    title="All You Need Is a Good Init",
    authors="Mishkin, Matas",
    venue="ICLR 2016",
    year=2016,
    arxiv="1511.06422",
    lesson="A layer multiplies the variance of what passes through it by a factor that depends on its weights and on the non-linearity "
    "before it. In a deep network these factors multiply, so signals and gradients vanish or explode unless each is near one. Xavier's "
    "and He's rules compute the factor for linear layers and for ReLU.\n\n"
    "LSUV measures it instead: orthonormal weights, then, layer by layer on one batch of data, each layer's weights are divided by the "
    "standard deviation of its output. Any non-linearity will do. Where biases are 0 the output is linear in the weights, so one division "
    "is exact.",
)

WIDTH, DEPTH = 256, 11
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


@claim(
    place="Alg. 1, pre-initialisation",
    statement="Weights are orthonormal matrices, out x (in K K): rows where there are fewer of them, else columns.",
    predicted="singular values 1",
    how="the least and the greatest singular value after the init `orthonormal`; drawn beside them those of `xavier`",
    tolerance=1e-5,
)
def orthonormal_weights() -> Finding:
    """Singular values."""
    layers: dict[str, nn.Linear | nn.Conv2d] = {"linear 64 x 200": nn.Linear(200, 64), "linear 200 x 64": nn.Linear(64, 200)}
    layers["convolution 32 x (16 3 3)"] = nn.Conv2d(16, 32, 3)
    cases: dict[str, tuple[float, float]] = {}
    for name, layer in layers.items():
        registry.make("init", "orthonormal")(layer)
        values = _singular(layer)
        cases |= {f"{name}: least": (1.0, float(values[-1])), f"{name}: greatest": (1.0, float(values[0]))}
    square, marks = nn.Linear(200, 200), []
    for init in ("orthonormal", "xavier"):
        registry.make("init", init)(square)
        marks.append(Line(x=range(200), y=_singular(square), label=init))
    return Finding(cases, [Panel(marks=marks, x="rank, 200 x 200 weights", y="singular value")])


@claim(
    place="Alg. 1",
    statement="After LSUV the output of every layer has variance 1 before its non-linearity.",
    predicted="1, within the algorithm's tolerance of 0.02",
    how="the init `lsuv` on an MLP of eleven layers with each non-linearity and on seven convolutions; the worst layer, same batch",
    tolerance=0.02,
)
def unit_variance() -> Finding:
    """Every layer, any non-linearity."""
    cases, marks = {}, []
    for name, activation in ACTIVATIONS.items():
        x, network = _batch(), _mlp(activation)
        _lsuv(network, x)
        found = _variances(network, x)
        cases[f"MLP, {name}"] = (1.0, _farthest(found))
        marks.append(Line(x=range(1, DEPTH + 1), y=found, label=name))
    x = torch.randn(16, 3, 12, 12)
    network = _convolutions()
    _lsuv(network, x)
    cases["convolutions, ReLU"] = (1.0, _farthest(_variances(network, x)))
    return Finding(cases, [Panel(marks=[*marks, Line(x=[1, DEPTH], y=[1, 1], label="1", theory=True)], x="layer", y="variance")])


@claim(
    place="Alg. 1, the loop over T_i",
    statement="Where biases are 0 one division by the standard deviation is enough.",
    predicted="1",
    how="the same networks in double precision after `lsuv[attempts=1,tolerance=1e-9]`; the layer that misses most",
    tolerance=1e-8,
)
def one_division() -> Finding:
    """T_max = 1."""
    cases, marks = {}, []
    for name, activation in ACTIVATIONS.items():
        x, network = _batch().double(), _mlp(activation).double()
        _lsuv(network, x, "lsuv[attempts=1,tolerance=1e-9]")
        found = _variances(network, x)
        cases[f"MLP, {name}"] = (1.0, _farthest(found))
        marks.append(Line(x=range(1, DEPTH + 1), y=[abs(v - 1) + 1e-17 for v in found], label=name))
    return Finding(cases, [Panel(marks=marks, x="layer", y="|variance - 1|", log="y")])


@claim(
    place="Alg. 1; Sec. 2",
    statement="What a layer does to a variance of 1 depends on the non-linearity before it.",
    predicted="E phi(z)^2, z ~ N(0, 1), by quadrature: square orthonormal weights keep lengths",
    how="the variance by which `lsuv` divided hidden layers of 256 units, from their weights' scale: the mean of nine layers",
    tolerance=0.05,
)
def gain_of_the_nonlinearity() -> Finding:
    """Variances before the division."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for name, activation in ACTIVATIONS.items():
        network = _mlp(activation)
        _lsuv(network, _batch())
        layers = [m for m in network if isinstance(m, nn.Linear)][1:-1]  # square, after a non-linearity
        found = [float(WIDTH / layer.weight.detach().square().sum()) for layer in layers]
        gain = _gain(activation())
        cases[name] = (gain, sum(found) / len(found))
        marks += [Line(x=[2, DEPTH - 1], y=[gain, gain], theory=True), Points(x=range(2, DEPTH), y=found, label=name)]
    return Finding(cases, [Panel(marks=marks, x="layer", y="variance before the division")])


@claim(
    place="Sec. 1 and 2",
    statement="Under other initialisers the variance shrinks by a constant factor a layer, or just keeps; under LSUV it is 1.",
    predicted="n Var(w) E relu(z)^2 = n Var(w) / 2: 1/2 for `xavier` and `orthonormal`, 1 for `he`, 0.0512 for `normal02`, 1 for `lsuv`",
    how="the mean factor a layer from the second layer to the tenth of an MLP of ReLU layers of 256 units",
    tolerance=0.12,
    relative=True,
)
def decay_with_depth() -> Finding:
    """Variances through a deep network."""
    factors = {"lsuv": 1.0, "he": 1.0, "xavier": 0.5, "orthonormal": 0.5, "normal02": WIDTH * 0.02**2 / 2}
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    layers = torch.arange(1, DEPTH)
    for init, factor in factors.items():
        x, network = _batch(), _mlp(nn.ReLU)
        _lsuv(network, x, init) if init == "lsuv" else registry.make("init", init)(network)
        found = torch.tensor(_variances(network, x)[:-1])
        cases[init] = (factor, float((found[-1] / found[1]) ** (1 / (DEPTH - 3))))
        marks += [Line(x=layers, y=found[1] * factor ** (layers - 2), theory=True), Points(x=layers, y=found, label=init)]
    return Finding(cases, [Panel(marks=marks, x="layer", y="variance", log="y")])


def _batch() -> Tensor:
    return torch.randn(256, WIDTH)


def _mlp(activation: Callable[[], nn.Module]) -> nn.Sequential:
    widths = [WIDTH] * DEPTH + [10]
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b), activation())))


def _convolutions() -> nn.Sequential:
    widths = [3, 16, 16, 32, 32, 32, 64, 64]
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())))


def _lsuv(network: nn.Module, x: Tensor, spec: str = "lsuv") -> None:
    """The initialiser on one batch: the update that it watches is undone, as a method does."""
    init = registry.make("init", spec)
    init(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def update() -> None:
        network(x)
        network.load_state_dict(before)

    init.fit([network], update)


@torch.no_grad()
def _variances(network: nn.Module, x: Tensor) -> list[float]:
    """Of the output of each layer with weights, over batch and units."""
    found = []
    for m in network.children():
        x = m(x)
        if isinstance(m, nn.Linear | nn.Conv2d):
            found.append(float(x.var(correction=0)))
    return found


def _singular(layer: nn.Linear | nn.Conv2d) -> Tensor:
    return torch.linalg.svdvals(layer.weight.detach().flatten(1).double())


def _gain(activation: nn.Module) -> float:
    """E phi(z)^2 of a standard normal z."""
    z = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    return float(torch.trapezoid(torch.exp(-(z**2) / 2) * activation(z) ** 2, z)) / math.sqrt(2 * math.pi)


def _farthest(values: list[float]) -> float:
    """The one farthest from 1."""
    return max(values, key=lambda v: abs(v - 1))
