"""Test functions of the plane with known minima: how does an update rule cross valleys, plateaus and saddles?

Starts: of the test literature, from which the comparison of rules begins. DeepOBS (Schneider, Balles, Hennig, ICLR 2019,
arXiv:1903.05499) has its own for the three that it uses, and adds noise: start=(-0.5,1.5) for rosenbrock, (-4.5,4.5) for beale,
(2.5,12.5) for branin; noise=1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.cards import Card
from bench.dataset import Split
from bench.judging.contours import Contours, Trail
from bench.judging.sheets import write_item
from bench.method import Method, param
from bench.metrics.distance import Distance
from bench.metrics.suboptimality import Suboptimality
from bench.operators.transfer import send
from bench.task import Scores
from bench.tasks._minimise import Minimise


@dataclasses.dataclass(kw_only=True, eq=False)
class Landscape(Minimise):
    """Descend a function of two numbers in float64; judged by how far above the minimum it ends, the noise aside."""

    verb: ClassVar[str] = "minimise"

    function: Literal["rosenbrock", "beale", "branin", "quadratic", "saddle"] = param("rosenbrock", "of the plane, with known minima")
    noise: float = param(0.0, "standard deviation of both coordinates of a constant added to each example's gradient")
    start: tuple[float, ...] = param((), "two numbers; empty: the function's own")
    spread: float = param(0.0, "standard deviation of the start about that, from the trial's seed")

    def __post_init__(self) -> None:
        if min(self.noise, self.spread) < 0 or len(self.start) not in (0, 2):
            raise ValueError("noise and spread must be >= 0, start two numbers or none")

    # -- what a method gets
    @override
    def model(self) -> nn.Module:
        """The point: called with noise (n x 2) it gives the n noisy values."""
        return _Point(self._plane.f, self._start + self.spread * torch.randn(2, dtype=torch.float64))

    @override
    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """The noise of n examples: n x 2."""
        return self.noise * send(torch.randn(n, 2, dtype=torch.float64, generator=rng), self.device)

    @override
    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        """Mean of f(w) + noise'w."""
        values: Tensor = model(batch)
        return values.mean()

    @property
    @override
    def averages(self) -> bool:
        """Yes, where there is noise."""
        return self.noise > 0

    @property
    @override
    def start_loss(self) -> float:
        """The value at the start, without the spread."""
        return float(self._plane.f(self._start.cpu()))

    # -- judging
    @override
    def cards(self) -> dict[str, Card]:
        log, plain, distance = Suboptimality(log10=True), Suboptimality(), Distance()
        return {"log10_suboptimality": log.card(), "suboptimality": plain.card(), "distance": distance.card()}

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", "suboptimality"), ("metric", "distance")]

    @override
    def measure(self, model: nn.Module, split: Split) -> Scores:
        """Above the minimum by how much, and how far from it."""
        assert isinstance(model, _Point)
        w, plane = model.w.detach().cpu(), self._plane
        value, least = float(plane.f(w)), float(plane.f(plane.minima[0]))
        log, plain, distance = Suboptimality(log10=True), Suboptimality(), Distance()
        return Scores(
            {"log10_suboptimality": log(value, least), "suboptimality": plain(value, least), "distance": distance(w, plane.minima)},
        )

    @override
    def portray_training(self, method: Method, folder: Path) -> None:
        """The path of the descent (from where it was last resumed) over contour lines."""
        point = method.minimise()  # type: ignore[attr-defined]
        path = torch.stack([*point.trail.points, point.w.detach()]).cpu()
        write_item(
            folder,
            "From the ring to the dot; lines are equal steps of log10(f - f*), crosses are minima",
            self._contours.draw(path),
        )

    # -- what the options mean
    @functools.cached_property
    def _contours(self) -> Contours:
        return Contours(self._plane.f, self._start.cpu(), self._plane.minima)

    @property
    def _plane(self) -> _Plane:
        return _PLANES[self.function]

    @property
    def _start(self) -> Tensor:
        return torch.tensor(self.start or self._plane.start, dtype=torch.float64)


class _Point(nn.Module):
    """The point that descends, and the trail of its positions in training."""

    def __init__(self, f: Callable[[Tensor], Tensor], start: Tensor) -> None:
        super().__init__()
        self.f, self.w, self.trail = f, nn.Parameter(start), Trail()

    @override
    def forward(self, noise: Tensor) -> Tensor:
        if self.training:
            self.trail.add(self.w)
        value: Tensor = self.f(self.w) + noise @ self.w
        return value


@dataclasses.dataclass(frozen=True)
class _Plane:
    """A function of ... x 2 points, its usual start, and its minimisers (k x 2)."""

    f: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    minima: Tensor


def _rosenbrock(w: Tensor) -> Tensor:
    """(1 - x)^2 + 100 (y - x^2)^2: a curved valley."""
    x, y = w.unbind(-1)
    return (1 - x).square() + 100 * (y - x.square()).square()


def _beale(w: Tensor) -> Tensor:
    """(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2: plateaus between steep walls."""
    x, y = w.unbind(-1)
    return (1.5 - x + x * y).square() + (2.25 - x + x * y**2).square() + (2.625 - x + x * y**3).square()


def _branin(w: Tensor) -> Tensor:
    """(y - 5.1 x^2 / (4 pi^2) + 5 x / pi - 6)^2 + 10 (1 - 1 / (8 pi)) cos x + 10: three minima of the same depth, 5 / (4 pi)."""
    x, y = w.unbind(-1)
    return (y - 5.1 / (4 * math.pi**2) * x.square() + 5 / math.pi * x - 6).square() + 10 * (1 - 1 / (8 * math.pi)) * x.cos() + 10


def _quadratic(w: Tensor) -> Tensor:
    """(u^2 + v^2 / 1000) / 2, u and v the plane turned by 45 degrees:
    a rate for each of x and y cannot undo the condition number of 1000.
    """
    x, y = w.unbind(-1)
    return ((x + y).square() + (x - y).square() / 1000) / 4


def _saddle(w: Tensor) -> Tensor:
    """x^2 - y^2 + y^4 / 2: a strict saddle at 0 that the start nearly runs into, the sides bent up so that there are minima, at y = 1 and
    -1.
    """
    x, y = w.unbind(-1)
    return x.square() - y.square() + y**4 / 2


def _places(*points: tuple[float, float]) -> Tensor:
    return torch.tensor(points, dtype=torch.float64)


_PLANES = {
    "rosenbrock": _Plane(_rosenbrock, (-1.2, 1.0), _places((1, 1))),
    "beale": _Plane(_beale, (1.0, 1.0), _places((3, 0.5))),
    "branin": _Plane(_branin, (2.5, 12.5), _places((-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475))),
    "quadratic": _Plane(_quadratic, (0.0, 2.0), _places((0, 0))),
    "saddle": _Plane(_saddle, (1.0, 1e-3), _places((0, 1), (0, -1))),
}
