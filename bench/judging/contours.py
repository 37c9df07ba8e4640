"""The path of a descent over the contour lines of a function of the plane, as a picture."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from bench.judging.sheets import pixel_centres

_SIDE, _FINE = 360, 3  # pixels of the picture; each is the mean of _FINE^2 drawn ones
_BANDS, _DECADES = 24, 6  # contour lines over the decades of f - f* below its largest value
_KEPT = 1024  # points of a trail at most
_INK, _PATH, _WHITE = (0.1, 0.1, 0.12), (0.84, 0.37, 0.0), (1.0, 1.0, 1.0)


class Trail:
    """Where a point went: every place, then every second, fourth, ... so that memory is bounded."""

    def __init__(self) -> None:
        self.points: list[Tensor] = []
        self.seen, self.every = 0, 1

    def add(self, w: Tensor) -> None:
        """Keep a point (2), if it is among those that are kept."""
        if self.seen % self.every == 0:
            self.points.append(w.detach().clone())
            if len(self.points) > _KEPT:
                del self.points[1::2]
                self.every *= 2
        self.seen += 1


class Contours:
    """Lines of equal f (... x 2 -> ...) in a window that holds the start (2) and the minimisers (k x 2)."""

    def __init__(self, f: Callable[[Tensor], Tensor], start: Tensor, minima: Tensor) -> None:
        marks = torch.cat([start[None], minima])
        low, high = marks.min(0).values, marks.max(0).values
        self.centre, self.half = (low + high) / 2, 0.75 * float((high - low).max())
        self.side = _SIDE * _FINE
        height = f(pixel_centres(self.side, self.centre, self.half)) - f(minima[0])
        self.ground = _bands(height.reshape(self.side, self.side))
        for i in range(-4 * _FINE, 4 * _FINE + 1):
            for j in (-i, i):
                _stamp(self.ground, self._place(minima) + torch.tensor([i, j]), 0.6 * _FINE, _INK)

    def draw(self, path: Tensor) -> Tensor:
        """A path (T x 2, T >= 1) over the lines, a ring at its start, a dot at its end, crosses at the minimisers: 3 x side x side, [0,
        1].
        """
        image, at = self.ground.clone(), self._place(path)
        at = at[at.isfinite().all(1)].clamp(-self.side, 2 * self.side)
        _stamp(image, _interpolate(at), 0.7 * _FINE, _PATH)
        _stamp(image, at[:1], 4.5 * _FINE, _INK)
        _stamp(image, at[:1], 3.3 * _FINE, _WHITE)
        _stamp(image, at[-1:], 3.5 * _FINE, _PATH)
        return avg_pool2d(image, _FINE)

    def _place(self, points: Tensor) -> Tensor:
        """Points (k x 2) as rows and columns of the fine picture."""
        at = ((points - self.centre) / self.half + 1) / 2 * self.side
        return torch.stack([self.side - 1 - at[:, 1], at[:, 0]], 1)


def _bands(height: Tensor) -> Tensor:
    """Bands of equal steps of the logarithm, darker below, with lines between them: 3 x side x side."""
    level = height.clamp(min=float(height.max()) * 10**-_DECADES).log10()
    band = ((level - level.max()) / _DECADES * _BANDS).floor()  # -bands .. 0
    edge = torch.zeros_like(band, dtype=torch.bool)
    edge[1:] |= band[1:] != band[:-1]
    edge[:, 1:] |= band[:, 1:] != band[:, :-1]
    image = 1 + (band / _BANDS).float() * torch.tensor([0.5, 0.3, 0.1])[:, None, None]  # white to blue
    return torch.where(edge, image * 0.72, image)


def _interpolate(at: Tensor) -> Tensor:
    """The places with those on the lines between them, at most a pixel apart."""
    steps = [a + (b - a) * torch.linspace(0, 1, int((b - a).abs().max()) + 2)[:, None] for a, b in pairwise(at)]
    return torch.cat([at, *steps])


def _stamp(image: Tensor, at: Tensor, radius: float, color: tuple[float, float, float]) -> None:
    """Draw discs around places (n x 2: row, column), in place."""
    reach = torch.arange(-int(radius), int(radius) + 1)
    disc = torch.cartesian_prod(reach, reach)
    disc = disc[disc.square().sum(1) <= radius**2]
    row, column = (at.round().long()[:, None] + disc).flatten(0, 1).unbind(1)
    inside = (row >= 0) & (row < image.shape[1]) & (column >= 0) & (column < image.shape[2])
    image[:, row[inside], column[inside]] = torch.tensor(color)[:, None]
