"""What a saliency map is compared with, at the size the data set has it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor

from bench.resize import weights
from bench.stream import mix
from datasets._base import PictureSet
from datasets._saliency import Seen

_SEED = 2018  # of the choice of others
_OTHERS = 10  # pictures whose fixations are the negatives of the shuffled AUC


@dataclasses.dataclass(eq=False)
class Truth:
    """The truth about the pictures of a split, read when asked for; `baseline` makes the map to beat, 1 x H x W of any size."""

    pictures: PictureSet
    baseline: Callable[[], Tensor]

    @functools.cached_property
    def kinds(self) -> frozenset[str]:
        """What there is to compare with (see `bench.metrics._saliency.SaliencyMetric`)."""
        first = self._seen(0)
        fixations = {"fixations", "baseline"} | ({"others"} if len(self.pictures) > 1 else set()) if first.fixations is not None else set()
        return frozenset({"target"} | fixations | ({"mask"} if first.mask is not None else set()))

    def of(self, name: str, kinds: frozenset[str]) -> dict[str, Tensor]:
        """Kind -> 1 x H x W, of one picture; what was not asked for is not made."""
        index = self._index[name]
        seen = self._seen(index)
        size = seen.target.shape[-2], seen.target.shape[-1]
        makers: dict[str, Callable[[], Tensor | None]] = {
            "target": lambda: seen.target,
            "mask": lambda: seen.mask,
            "fixations": lambda: seen.fixations,
            "baseline": lambda: resized(self.baseline(), size),
            "others": lambda: self._others(index, size),
        }
        found = {kind: makers[kind]() for kind in makers if kind in kinds & self.kinds}
        return {kind: m for kind, m in found.items() if m is not None}

    def _seen(self, index: int) -> Seen:
        seen = self.pictures[index]
        assert isinstance(seen, Seen)
        return seen

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.pictures.names)}

    @functools.cached_property
    def _looks(self) -> list[Tensor]:
        """Where people looked in each picture, as shares of its height and width: n x 2 each."""
        marks = [seen.fixations[0] for seen in self.pictures if isinstance(seen, Seen) and seen.fixations is not None]
        return [(m.nonzero() + 0.5) / torch.tensor(m.shape) for m in marks]

    def _others(self, index: int, size: tuple[int, int]) -> Tensor:
        """The fixations on ten other pictures, brought to this one's size."""
        rng = torch.Generator().manual_seed(mix(_SEED, index))
        others = [i for i in torch.randperm(len(self._looks), generator=rng).tolist() if i != index][:_OTHERS]
        y, x = (torch.cat([self._looks[i] for i in others] or [torch.zeros(0, 2)]) * torch.tensor(size)).long().unbind(1)
        union = torch.zeros(1, *size)
        union[0, y, x] = 1
        return union


def resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Pictures or maps in [0, 1], ... x H x W, at another size as MATLAB's `imresize` makes it, clipped to [0, 1]; unchanged if it has that."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    down, across = (weights(n, m).to(maps) for n, m in zip(maps.shape[-2:], size, strict=True))
    return (down @ maps @ across.T).clamp(0, 1)
