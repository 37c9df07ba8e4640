"""Modeling the Performance of Image Restoration from Motion Blur."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.figure import Bars, Heat, Line, Panel, Points
from datasets.degrade import motion_blur
from datasets.degrade.motion_blur import Law

PAPER = Paper(
    title="Modeling the Performance of Image Restoration from Motion Blur",
    authors="Boracchi, Foi",
    venue="IEEE Transactions on Image Processing 21(8)",
    year=2012,
    lesson="Camera shake is a random path of fixed length, walked while the shutter is open: a Markov process with gusts, rare impulses "
    "and a pull back to where it began. Its footprint on the pixel grid is the blur kernel. DeblurGAN makes its training pairs this "
    "way.\n\n"
    "Every path is as long as the next, so the more the hand shakes, the more the path curls up: severe shake is the smaller blur, and a "
    "still hand's straight drift the largest.",
)

_LAWS: tuple[Law, ...] = ("boracchi_foi", "deblurgan_code", "paper_as_printed")


@claim(
    place="createPSFs.m, the authors' code",
    statement="A kernel spreads light and neither makes nor loses any: its entries are at least 0 and sum to 1.",
    predicted="the smallest and the largest sum are 1; negative entries sum to 0",
    how="64 kernels of `motion_blur` for each law, with exposures of 1, 10, 50 and 100 %",
    tolerance=1e-5,
    deviation="the authors' kernels sum to the exposure, so a short one darkens the picture; here brightness is kept",
)
def kernel_mass() -> Finding:
    """Blur keeps the brightness."""
    cases: dict[str, tuple[float, float]] = {}
    panels = []
    for law in _LAWS:
        k = _kernels(f"law={law},exposure=(0.01,0.1,0.5,1.0)")
        mass = k.sum((1, 2))
        cases |= {f"{law}, {name}": (1.0, float(value)) for name, value in (("least", mass.min()), ("most", mass.max()))}
        cases[f"{law}, negative"] = 0.0, float(k.clamp(max=0).sum())
        panels.append(_picture(k[0], law))
    return Finding(cases, panels)


@claim(
    place="createTrajectory.m, the authors' code",
    statement="Whatever the shake, speed is kept: a path is as long as it is told to be.",
    predicted="its length, L",
    how="the sum of the steps of 64 paths a law and length, the one farthest off; p_s = 0.005",
    tolerance=1e-9,
    relative=True,
)
def arc_length() -> Finding:
    """A path of given length."""
    cases, marks = {}, []
    for law in _LAWS:
        for length in (24.0, 60.0):
            x = _paths(law, 0.005, length)
            arcs = np.abs(np.diff(x, axis=0)).sum(0)
            cases[f"{law}, L = {length:g}"] = length, float(arcs[np.abs(arcs - length).argmax()])
        marks.append(Line(x=x[::10, 0].real, y=x[::10, 0].imag, label=law))
    return Finding(cases, [Panel(marks=marks, x="pixels", y="pixels", square=True, title="one path of 60 pixels a law")])


@claim(
    place="createTrajectory.m, the authors' code",
    statement="Without shake, p_s = 0, the path is straight and its kernel a line in a random direction.",
    predicted="variances along and across that sum to L^2 / 12 of a line, plus 1/6 of each axis from the interpolation between pixels",
    how="the mean trace of the covariance of 256 kernels of `motion_blur[severity=(0.0,)]`",
    tolerance=0.005,
    relative=True,
)
def straight_without_shake() -> Finding:
    """No trembling, no curve."""
    cases, panels = {}, []
    for length in (6.0, 12.0, 24.0):
        k = _kernels(f"law=boracchi_foi,severity=(0.0,),max_len={length}", 256)
        cases[f"L = {length:g}"] = length**2 / 12 + 1 / 3, float(_variance(k).mean())
        panels.append(_picture(k[0], f"L = {length:g}"))
    return Finding(cases, panels)


@claim(
    place="createTrajectory.m, the authors' code",
    statement="Of two severities of shake p_s the larger makes the smaller blur: paths are equally long, and the restless one curls up.",
    predicted="the size at each p_s is at most that at the one before",
    how="mean radius (root of the variance) of 256 kernels of `motion_blur`, L = 24",
    relation="<=",
)
def severity_makes_blur_smaller() -> Finding:
    """The knob turns the other way round."""
    severities = (0.0, 0.001, 0.003, 0.005, 0.01, 0.05, 0.1)
    kernels = [_kernels(f"law=boracchi_foi,severity=({p_s},)", 256) for p_s in severities]
    radii = [float(_variance(k).sqrt().mean()) for k in kernels]
    cases = {f"p_s = {p_s}": pair for p_s, pair in zip(severities[1:], itertools.pairwise(radii))}
    curve = Panel(marks=[Points(x=severities, y=radii), Line(x=severities, y=radii)], x="p_s", y="mean radius, pixels")
    return Finding(cases, [curve, *(_picture(kernels[i][0], f"p_s = {severities[i]}") for i in (1, 3, 5))])


@claim(
    place="DeblurGAN, Alg. 1",
    statement="An impulse, a near reversal, comes with probability p_b p_s in a step: about once in a path.",
    predicted="1998 p_b p_s turns over a right angle; as printed, with normal numbers 1998 P(N(0, 1) < p_b p_s) P(|N(-0.5, 1)| < pi / 3)",
    how="such turns in the mean of 512 paths, p_s = 0.005; p_b is 0.1 in the mean",
    tolerance=0.15,
    relative=True,
    deviation="Algorithm 1 compares a normal number, randn, with p_b p_s, which half of all are below; its code draws a uniform one",
)
def impulses() -> Finding:
    """Once in a path, or in every other step."""
    below = torch.special.ndtr
    turned = below(torch.tensor(math.pi / 3 + 0.5)) - below(
        torch.tensor(0.5 - math.pi / 3)
    )  # 1 + 2 e^(i (pi + r)) has a negative real part
    expected: dict[Law, float] = {
        "deblurgan_code": 1998 * 0.1 * 0.005,
        "paper_as_printed": 1998 * float(below(torch.tensor(0.1 * 0.005)) * turned),
    }
    found = {}
    for law in expected:
        steps = np.diff(_paths(law, 0.005, 24.0, 512), axis=0)
        found[law] = float((np.abs(np.angle(steps[1:] / steps[:-1])) > math.pi / 2).sum(0).mean())
    names = [*map(str, expected)]
    marks = [Bars(names=names, y=expected.values(), label="predicted", theory=True), Bars(names=names, y=found.values(), label="counted")]
    return Finding({law: (expected[law], found[law]) for law in expected}, [Panel(marks=marks, y="reversals in a path", log="y")])


def _kernels(options: str, n: int = 64) -> Tensor:
    k: Tensor = registry.make("degradation", f"motion_blur[{options}]").kernels(n, torch.Generator().manual_seed(0))
    return k.double()


def _picture(kernel: Tensor, title: str) -> Panel:
    side = float(len(kernel))
    return Panel(marks=[Heat(z=kernel, extent=(0.0, side, 0.0, side))], x="pixels", title=title, square=True)


def _paths(law: Law, p_s: float, length: float, n: int = 64) -> NDArray[np.complex128]:
    """Positions, 2000 x n, x + i y in pixels."""
    draws = motion_blur._draw(n, torch.Generator().manual_seed(0), normal=law == "paper_as_printed")
    return motion_blur._walk(law, draws, np.full(n, p_s), length)


def _variance(kernels: Tensor) -> Tensor:
    """The variance of each kernel's light, along both axes together."""
    at = torch.arange(kernels.shape[-1], dtype=kernels.dtype)
    sides = (kernels.sum(1), kernels.sum(2))
    return sum((side @ at**2 - (side @ at) ** 2 for side in sides), torch.zeros(len(kernels), dtype=kernels.dtype))
