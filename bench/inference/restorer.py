"""A loaded method as a function of pictures: any number of channels, any size, any depth, chance under a seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.inference import tiles
from bench.inference.files import Levels, Picture
from bench.inference.load import Loaded
from bench.method import Batch
from bench.operators import chance
from bench.operators.images import clip
from bench.task import mix
from bench.text import first_line

_BUDGET = 640 * 2**20  # bytes for the activations of a tile on a CPU; with libraries and pictures a run stays below 2 GiB
_PROBE = 64  # side of the picture that tells how many channels a method takes
_MULTIPLES = (4, 16, 64, 256)  # of the sides that a network may want
_MEASURED = ("psf", "sinogram")
_WHAT = {"psf": "the blur kernel (psf)", "sinogram": "the sinogram"}


class Restorer:
    """Restores pictures with a loaded method.

    Args:
        loaded: what restores.
        seed: of methods that draw random numbers.
        tile: side of tiles, pixels; 0: whole pictures; None: as memory allows.
        overlap: what neighbouring tiles share, pixels; None: what the method's reach asks for.
        sigma: standard deviation of the noise on [0, 1], where it is known; 0: methods estimate it, or need it not.

    Raises:
        UsageError: the method restores no pictures, or needs what a picture does not bring.
    """

    def __init__(self, loaded: Loaded, *, seed: int = 0, tile: int | None = None, overlap: int | None = None, sigma: float = 0.0) -> None:
        self.method, self.label = loaded.method, loaded.origin.label
        self.seed, self.sigma, self.tile, self.overlap = seed, sigma, tile, overlap
        self._ways: dict[int, tuple[Callable[[Tensor], Tensor], str]] = {}
        self._sides: dict[int, int] = {}
        self._tilings: dict[int, tiles.Tiling] = {}
        self._refuse()

    def _refuse(self) -> None:
        if not hasattr(self.method, "restore"):
            does = "draws samples: give --samples N and no pictures" if hasattr(self.method, "sample") else "restores no pictures"
            raise UsageError(f"{self.label} {does}")
        if lacking := [_WHAT[name] for name in _MEASURED if name in self.method.needs]:
            raise UsageError(f"{self.label} needs {' and '.join(lacking)}, which a picture does not bring")

    # -- one picture
    def restore(self, picture: Picture, name: str = "", progress: Callable[[], None] = lambda: None) -> tuple[Levels, tuple[str, ...]]:
        """The restored levels, H' x W' x C', at the picture's depth, and notes about what was done.

        Args:
            picture: what is observed.
            name: of the picture; chance gives it the same whatever its company.
            progress: called after every tile.

        Raises:
            UsageError: the method cannot take it, or its result holds no numbers.
        """
        height, width, channels = picture.levels.shape
        with evaluation_mode(self.method):
            run, note = self._way(channels)
            tiling = self.tiling(channels, height, width)
            chance.seed(mix(self.seed, zlib.crc32(name.encode())), self.method.device)

            def restore(x: Tensor) -> Tensor:
                y = run(x)
                progress()
                return y

            def cut(rows: tiles.Span, columns: tiles.Span) -> Tensor:
                part = picture.levels[rows.start : rows.stop, columns.start : columns.stop].astype(np.float32) / np.float32(picture.top)
                return torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))[None]

            whole = _collect(tiles.bands(restore, cut, height, width, tiling), picture)
        traces = _traces(tiling) if tiling.cuts(height, width) and not tiling.exact else ""
        return whole, tuple(line for line in (note, traces) if line)

    def restore_whole(self, x: Tensor) -> Tensor:
        """N x C x H x W in [0, 1], of any size, each restored whole and by itself. Raises like `restore`."""
        with evaluation_mode(self.method):
            run, _ = self._way(x.shape[1])
            chance.seed(mix(self.seed), self.method.device)
            return torch.cat([run(one[None]) for one in x])

    def tiling(self, channels: int, height: int, width: int) -> tiles.Tiling:
        """How pictures are cut; the reach is measured when first a picture is larger than a tile."""
        if self.tile == 0:
            return tiles.Tiling(0, 0, None)
        if channels not in self._tilings:
            run, _ = self._way(channels)
            side = self.tile or self._side(channels)
            if height * width <= side**2:
                return tiles.Tiling(side, 0, None)
            self._tilings[channels] = tiles.plan(tiles.reach(run, channels), side, self.overlap)
        return self._tilings[channels]

    def _side(self, channels: int) -> int:
        """The side of the tiles that memory allows."""
        if channels not in self._sides:
            self._sides[channels] = tiles.tile_for(self.method.modules(), self._way(channels)[0], channels, self._budget())
        return self._sides[channels]

    @property
    def tilings(self) -> list[tiles.Tiling]:
        """How pictures were cut so far, one for each number of channels that was."""
        return list(self._tilings.values())

    def _budget(self) -> int:
        device = torch.device(self.method.device)
        return torch.cuda.mem_get_info(device)[0] // 3 if device.type == "cuda" else _BUDGET

    # -- channels
    def _way(self, channels: int) -> tuple[Callable[[Tensor], Tensor], str]:
        """How pictures of so many channels go through the method, and what to say about it."""
        if channels not in self._ways:
            self._ways[channels] = self._find_way(channels)
        return self._ways[channels]

    def _find_way(self, channels: int) -> tuple[Callable[[Tensor], Tensor], str]:
        other = 4 - channels  # 1 of 3, 3 of 1
        refused = self._refusal(channels)
        if not refused:
            return self._run, ""
        if self._refusal(other):
            raise UsageError(f"{self.label} does not take pictures of {channels} channels: {refused}")
        if other == 1:
            return self._by_channel, "a method for gray pictures: each colour was restored by itself"
        return self._as_colour, "a method for colour: gray pictures were shown as R = G = B, and the mean of the result kept"

    def _refusal(self, channels: int) -> str:
        """Why the method takes no pictures of so many channels; empty where it does."""
        x = torch.rand(1, channels, _PROBE, _PROBE, generator=torch.Generator().manual_seed(0))
        try:
            self._run(x)
        except UsageError as error:
            return str(error)
        return ""

    def _by_channel(self, x: Tensor) -> Tensor:
        return torch.cat([self._run(x[:, c : c + 1]) for c in range(x.shape[1])], 1)

    def _as_colour(self, x: Tensor) -> Tensor:
        return self._run(x.expand(-1, 3, -1, -1)).mean(1, keepdim=True)

    # -- the method itself
    def _run(self, x: Tensor) -> Tensor:
        """1 x C x H x W through `restore`, on the CPU again. Sides that the network does not take are mirrored to a multiple and cropped.

        Raises:
            UsageError: it takes no such picture at all.
        """
        try:
            return self._restored(x)
        except torch.OutOfMemoryError as error:
            raise UsageError(f"{self.label}: no memory for {x.shape[-2]} x {x.shape[-1]} pixels at once: give a smaller --tile") from error
        except (RuntimeError, ValueError, IndexError) as error:
            reason = first_line(error)
        for multiple in _MULTIPLES:
            try:
                return self._padded(x, multiple)
            except (RuntimeError, ValueError, IndexError):
                continue
        raise UsageError(f"{self.label} cannot restore 1 x {' x '.join(map(str, x.shape[1:]))}: {reason}")

    def _padded(self, x: Tensor, multiple: int) -> Tensor:
        height, width = x.shape[-2:]
        right, below = -width % multiple, -height % multiple
        y = self._restored(F.pad(x, (0, right, 0, below), mode="reflect" if right < width and below < height else "replicate"))
        scale = y.shape[-1] // (width + right)
        return y[..., : height * scale, : width * scale]

    def _restored(self, x: Tensor) -> Tensor:
        y: Any = self.method.restore(Batch(x.to(self.method.device), sigma=self.sigma))
        scale = max(1, round(y.shape[-1] / x.shape[-1]))
        if y.shape[-2:] != (x.shape[-2] * scale, x.shape[-1] * scale):
            raise ValueError(f"it returned {tuple(y.shape)} for {tuple(x.shape)}")
        return clip(y.float()).cpu()


def _traces(tiling: tiles.Tiling) -> str:
    """What tiles that are not exact do to a picture."""
    if tiling.reach is None:
        return "it looks at whole pictures, so its tiles are blended and not what the whole would give: --tile 0 restores whole pictures"
    need = f"give --overlap {2 * tiling.reach}, or none"
    return f"its reach is {tiling.reach} pixels, so an overlap of {tiling.overlap} leaves traces: {need}"


def _collect(bands: Iterator[Tensor], picture: Picture) -> Levels:
    """Bands of floats as one array of levels.

    Raises:
        UsageError: a value is no number.
    """
    height, width, _ = picture.levels.shape
    whole, row = picture.levels[:0], 0
    for band in bands:
        if band.isnan().any():
            raise UsageError("the result holds values that are no numbers")
        if not row:
            scale = band.shape[2] // width
            whole = np.empty((height * scale, width * scale, len(band)), picture.levels.dtype)
        whole[row : row + band.shape[1]] = (band * picture.top).round_().permute(1, 2, 0).numpy()
        row += band.shape[1]
    return whole
