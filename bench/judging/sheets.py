"""Pictures of samples: sheets, interpolations, neighbours, and films of points over a density."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from bench.judging.png import write_png
from bench.method import Method
from bench.operators import chance
from bench.task import mix

_SEED = 1406  # of the latents that every sheet starts from
_LEAST = 32  # pixels: smaller pictures are enlarged to that, by whole factors


def write_item(folder: Path, name: str, made: Tensor, real: Tensor | None = None) -> None:
    """Add an item of kind "samples": a sheet of a method and, where there is one, that of real data (3 x H x W, [0, 1])."""
    number = len(list(folder.glob("*.json")))
    item = {"name": name, "kind": "samples", "restored": f"{number:02d}_sheet.png"}
    write_png(made, folder / item["restored"])
    if real is not None:
        item["target"] = f"{number:02d}_real.png"
        write_png(real, folder / item["target"])
    (folder / f"{number:02d}.json").write_text(json.dumps(item), encoding="utf-8")


def sheet(x: Tensor, columns: int) -> Tensor:
    """Pictures (N x C x H x W) in rows with a pixel between them: 3 x H' x W'."""
    factor = max(1, _LEAST // x.shape[-1])
    x = x.cpu().expand(-1, 3, -1, -1).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    rows = math.ceil(len(x) / columns)
    cells = torch.ones(rows * columns, 3, x.shape[2] + 1, x.shape[3] + 1)
    cells[: len(x), :, :-1, :-1] = x
    return cells.reshape(rows, columns, *cells.shape[1:]).permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)[:, :-1, :-1]


@contextlib.contextmanager
def fixed_latents(device: torch.device) -> Iterator[None]:
    """Random numbers inside start from one seed, so a method samples from the latents it sampled from before."""
    with torch.random.fork_rng(chance.gpus(device)):
        chance.seed(mix(_SEED), device)
        yield


def interpolations(method: Method, rows: int, columns: int) -> Tensor | None:
    """Samples on great circles between two latents a row, rows * columns in all; None where a method has no latents to decode."""
    if not hasattr(method, "decode"):
        return None
    start, end = method.z(2 * rows).chunk(2)  # type: ignore[attr-defined]  # rows x z_dim each
    angle = torch.nn.functional.cosine_similarity(start, end).clamp(-0.999, 0.999).acos()[:, None, None]
    t = torch.linspace(0, 1, columns, device=start.device)[:, None]
    path = (((1 - t) * angle).sin() * start[:, None] + (t * angle).sin() * end[:, None]) / angle.sin()  # rows x columns x z_dim
    made: Tensor = method.decode(path.flatten(0, 1))
    return made


class Film:
    """Frames of points over a density, side x side pixels each, drawn into the square of that half width around a centre."""

    def __init__(self, density: Tensor, centre: Tensor, half: float) -> None:
        self.side, self.centre, self.half = len(density), centre, half
        shade = (density / density.max()) ** 0.3
        self.ground = 1 - shade.float() * torch.tensor([0.55, 0.35, 0.1])[:, None, None]  # white to blue

    def frame(self, points: Tensor) -> Tensor:
        """Points (N x 2) as dots of two pixels: 3 x side x side, the second coordinate upwards."""
        at = ((points.cpu() - self.centre) / self.half + 1) / 2 * self.side
        at = torch.where(at.isfinite(), at, -1.0).clamp(-1, self.side).long()
        column, row = at[:, 0], self.side - 1 - at[:, 1]
        image = self.ground.clone()
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            y, x = row + dy, column + dx
            inside = (y >= 0) & (x >= 0) & (y < self.side) & (x < self.side) & (column >= 0) & (column < self.side)
            image[:, y[inside], x[inside]] = torch.tensor([0.8, 0.1, 0.0])[:, None]
        return image


def pixel_centres(side: int, centre: Tensor, half: float) -> Tensor:
    """The points in the middle of the pixels of such a frame, row by row from the top: side^2 x 2."""
    ticks = ((torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1) * half
    return torch.cartesian_prod(-ticks, ticks).flip(1) + centre
