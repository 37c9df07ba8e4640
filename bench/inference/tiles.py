"""Pictures of any size through a method: whole, or in tiles that overlap and are blended into one another.

A pixel of the result depends on the pixels within the method's reach, which is measured (`reach`). Where two tiles share at least twice
that, each is used only as far as it saw all that it depends on, and the picture is that of the whole. A method that looks at the whole
picture (a norm over it, an estimate of its noise) has no reach: its tiles are blended, and the result is another than that of the whole.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError

Restore = Callable[[Tensor], Tensor]
"""1 x C x H x W to 1 x C' x scale H x scale W."""

ALIGN = 32  # pixels that sides and places of tiles are multiples of, so that networks with strides see them as in the whole
_RAMP = 32  # pixels over which tiles are blended, beyond what exactness asks for
_GLOBAL = 128  # overlap of tiles of a method without a reach
_SAME = 1e-6  # differences of results that rounding explains
_EVERYWHERE = 0.9  # share of touched pixels beyond which a larger picture would tell the same
_PROBES = (256, 512)  # sides of the pictures on which the reach is measured
_SMALLEST, _LARGEST = 128, 1024  # side of a tile that is chosen
_COPIES = 6  # of the largest activation that are alive at once: measured on U-Nets, ResNets and sub-pixel networks, 2 to 5
_PLAIN = 4096  # bytes a pixel of what is no network: the windows of a median


class Span(NamedTuple):
    """Where a tile begins and ends along an axis."""

    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How pictures are cut.

    Attributes:
        tile: side, pixels; pictures of no more pixels than such a square are not cut; 0: none is.
        overlap: pixels that neighbours share.
        reach: of the method, pixels; None: it looks at whole pictures.
    """

    tile: int
    overlap: int
    reach: int | None

    @property
    def exact(self) -> bool:
        """Whether the result is that of the whole picture."""
        return not self.tile or (self.reach is not None and self.overlap >= 2 * self.reach)

    @property
    def margin(self) -> int:
        """Pixels at the inner edges of a tile that are not used."""
        return self.reach if self.reach is not None and self.exact else self.overlap // 4

    def cuts(self, height: int, width: int) -> bool:
        """Whether a picture of that size is cut."""
        return bool(self.tile) and height * width > self.tile**2


def plan(reach: int | None, tile: int, overlap: int | None) -> Tiling:
    """Sides and overlap as multiples of `ALIGN`.

    Args:
        reach: see `reach`.
        tile: side that is wished for; 0: whole pictures.
        overlap: that is wished for; None: what exactness needs and a ramp to blend over.

    Raises:
        UsageError: the overlap is more than half of the tile.
    """
    if not tile:
        return Tiling(0, 0, reach)
    if overlap is None:
        shared = _aligned(2 * reach + _RAMP if reach is not None else _GLOBAL)
        return Tiling(max(_aligned(tile), 2 * shared), shared, reach)
    tile, overlap = _aligned(tile), _aligned(overlap)
    if overlap > tile // 2:
        raise UsageError(
            f"an overlap of {overlap} pixels is more than half of tiles of {tile}: give a smaller --overlap or a larger --tile"
        )
    return Tiling(tile, overlap, reach)


def reach(restore: Restore, channels: int) -> int | None:
    """How far a pixel has influence, in pixels of the input; None where it is the whole picture, or cannot be told.

    A block of NaN is put into a picture: what becomes NaN depends on it, however little. Sums that multiply all pixels, some by zero,
    carry NaN everywhere: then the block is exchanged for others, in noise and in a smooth picture, and what changes counts.
    """
    for side in _PROBES:
        middle = side // 2 // ALIGN * ALIGN
        block = slice(middle, middle + ALIGN)
        try:
            touched = _lost(restore, channels, side, block)
            if not touched.any() or _at_edge(touched):
                touched = _changed(restore, channels, side, block)
        except (RuntimeError, ValueError, IndexError):  # what a method makes of NaN is its own business
            return None
        if not touched.any() or touched.float().mean() > _EVERYWHERE:
            return None
        if not _at_edge(touched):
            return max(_beyond(touched.any(0), touched.shape[-1] // side, block), _beyond(touched.any(1), touched.shape[-1] // side, block))
    return None


def _lost(restore: Restore, channels: int, side: int, block: slice) -> Tensor:
    """Which pixels of the result are NaN where a block of the picture is: H x W."""
    x = _noise(channels, side)
    x[..., block, block] = math.nan
    return restore(x).isnan().any(1)[0]


def _changed(restore: Restore, channels: int, side: int, block: slice) -> Tensor:
    """Which pixels of the result change where a block of the picture does: H x W."""
    noise = _noise(channels, side)
    smooth = F.interpolate(noise[..., ::16, ::16], size=side, mode="bicubic").clamp(0, 1)
    touched = torch.zeros((), dtype=torch.bool)
    for x in (noise, smooth):
        before = restore(x)
        for new in (noise.flip(-1, -2), torch.zeros_like(x)):
            other = x.clone()
            other[..., block, block] = new[..., block, block]
            touched = touched | ((restore(other) - before).abs() > _SAME).any(1)[0]
            if touched.float().mean() > _EVERYWHERE:
                return touched
    return touched


def _noise(channels: int, side: int) -> Tensor:
    return torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(side))


def _at_edge(touched: Tensor) -> bool:
    return bool(touched[0].any() or touched[-1].any() or touched[:, 0].any() or touched[:, -1].any())


def _beyond(touched: Tensor, scale: int, block: slice) -> int:
    """The farthest of the touched pixels of an axis from the block."""
    where = touched.nonzero()[:, 0] // scale
    return max(int(block.start) - int(where.min()), int(where.max()) - int(block.stop) + 1, 0)


def tile_for(networks: dict[str, nn.Module], restore: Restore, channels: int, budget: int) -> int:
    """The side of the largest tile whose activations stay within a budget of bytes."""
    most = [0]

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(output, Tensor) and inputs and isinstance(inputs[0], Tensor):
            most[0] = max(most[0], inputs[0].nbytes + output.nbytes)

    leaves = [m for network in networks.values() for m in network.modules() if not list(m.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    side = _PROBES[0]
    try:
        y = restore(torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0)))
    finally:
        for hook in hooks:
            hook.remove()
    pixel = max(most[0] / 2, y.nbytes) / side**2 * _COPIES if most[0] else _PLAIN + _COPIES * y.nbytes / side**2
    return min(max(int(math.sqrt(budget / pixel)) // ALIGN * ALIGN, _SMALLEST), _LARGEST)


def bands(restore: Restore, cut: Callable[[Span, Span], Tensor], height: int, width: int, tiling: Tiling) -> Iterator[Tensor]:
    """The restored picture from top to bottom, in bands of C' x h x scale W; as many as there are rows of tiles.

    Args:
        restore: the method.
        cut: rows, columns -> that part of the picture, 1 x C x h x w; it is never asked for the whole picture where that is cut.
        height: of the picture.
        width: of the picture.
        tiling: how it is cut.
    """
    if not tiling.cuts(height, width):
        yield restore(cut(Span(0, height), Span(0, width)))[0]
        return
    rows, columns = spans(height, tiling), spans(width, tiling)
    kept: Tensor | None = None  # the part of the last band that this one shares
    for i, row in enumerate(rows):
        band, scale = _band(restore, cut, row, columns, width, tiling)
        band *= _ramp(i, rows, tiling, scale)[:, None].to(band)
        if kept is not None:
            band[:, : kept.shape[1]] += kept
        done = ((rows[i + 1].start if i + 1 < len(rows) else height) - row.start) * scale
        yield band[:, :done]
        kept = band[:, done:].clone()


def _band(
    restore: Restore, cut: Callable[[Span, Span], Tensor], row: Span, columns: list[Span], width: int, tiling: Tiling
) -> tuple[Tensor, int]:
    """A row of tiles as one, C' x h x scale W, and the scale."""
    band = torch.empty(0)
    scale = 1
    for j, column in enumerate(columns):
        part = restore(cut(row, column))[0]
        scale = part.shape[1] // (row.stop - row.start)
        if not len(band):
            band = part.new_zeros(len(part), part.shape[1], width * scale)
        band[..., column.start * scale : column.stop * scale] += part * _ramp(j, columns, tiling, scale).to(part)
    return band, scale


def spans(length: int, tiling: Tiling) -> list[Span]:
    """The tiles along an axis."""
    step = tiling.tile - tiling.overlap
    starts = range(0, max(length - tiling.overlap, 1), step)
    return [Span(start, min(start + tiling.tile, length)) for start in starts]


def _ramp(index: int, along: list[Span], tiling: Tiling, scale: int) -> Tensor:
    """The weights of a tile's pixels along an axis: those of neighbours add up to 1."""
    start, stop = along[index]
    weight = torch.ones((stop - start) * scale)
    if index > 0:
        rise = _rise(along[index - 1].stop - start, tiling, scale)
        weight[: len(rise)] *= rise
    if index + 1 < len(along):
        rise = _rise(stop - along[index + 1].start, tiling, scale)
        weight[len(weight) - len(rise) :] *= 1 - rise
    return weight


def _rise(shared: int, tiling: Tiling, scale: int) -> Tensor:
    """From 0 to 1 over what two neighbours share, constant within the margins."""
    margin = tiling.margin * scale
    inner = shared * scale - 2 * margin
    return torch.cat([torch.zeros(margin), (torch.arange(inner) + 0.5) / max(inner, 1), torch.ones(margin)])


def _aligned(n: int) -> int:
    return -(-n // ALIGN) * ALIGN
