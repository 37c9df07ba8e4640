"""What a saliency map is compared with, at the size the data set has it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.dataset import PictureSet
from bench.errors import UsageError
from bench.operators.resize import weights_for
from bench.task import mix
from datasets.reading.saliency import Seen

_SEED = 2018  # of the choice of others
_NAMED = 5  # of the pictures that are left out
_OTHERS = 10  # pictures whose fixations are the negatives of the shuffled AUC


@dataclasses.dataclass(eq=False)
class Truth:
    """The truth about the pictures of a split, read when asked for; `baseline` makes the map to beat, 1 x H x W of any size, where there
    is one.

    A picture whose truth is empty (an all-black density, no fixations, no object in its mask) has none: no measure
    judges it, whichever it reads.
    """

    pictures: PictureSet
    baseline: Callable[[], Tensor] | None

    @functools.cached_property
    def kinds(self) -> frozenset[str]:
        """What there is to compare with (see `bench.metrics._saliency.SaliencyMetric`).

        Raises:
            UsageError: no picture has a truth.
        """
        sound = list(itertools.islice((i for i in range(len(self.pictures)) if not _lack(self._seen(i))), 2))  # not all are read for that
        if not sound:
            raise UsageError(f"no picture has a truth to be compared with: {named(self.without)}; another data set or split has")
        first = self._seen(sound[0])
        there = {
            "target": True,
            "mask": first.mask is not None,
            "fixations": first.fixations is not None,
            "others": first.fixations is not None and len(sound) > 1,
            "baseline": first.fixations is not None and self.baseline is not None,
        }
        return frozenset(kind for kind, given in there.items() if given)

    @property
    def judged(self) -> list[int]:
        """The indices of the pictures that have a truth."""
        return [i for i, (lack, _) in enumerate(self._scan) if not lack]

    @property
    def without(self) -> list[str]:
        """The pictures without a truth, by name, with what they lack."""
        return [f"{name} ({lack})" for name, (lack, _) in zip(self.pictures.names, self._scan, strict=True) if lack]

    def of(self, name: str, kinds: frozenset[str]) -> dict[str, Tensor]:
        """Kind -> 1 x H x W, of one picture; what was not asked for is not made."""
        index = self._index[name]
        seen = self._seen(index)
        size = seen.target.shape[-2], seen.target.shape[-1]
        makers: dict[str, Callable[[], Tensor | None]] = {
            "target": lambda: seen.target,
            "mask": lambda: seen.mask,
            "fixations": lambda: seen.fixations,
            "baseline": lambda: resized(self.baseline(), size) if self.baseline else None,
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
    def _scan(self) -> list[tuple[str, Tensor | None]]:
        """Of each picture what it lacks (empty: nothing), and where people looked, as shares of its height and width: n x 2."""
        found = []
        for index in range(len(self.pictures)):
            seen = self._seen(index)
            marks = None if seen.fixations is None else (seen.fixations[0].nonzero() + 0.5) / torch.tensor(seen.fixations[0].shape)
            found.append((_lack(seen), marks))
        return found

    def _others(self, index: int, size: tuple[int, int]) -> Tensor:
        """The fixations on ten other pictures, brought to this one's size."""
        rng = torch.Generator().manual_seed(mix(_SEED, index))
        looks = {i: marks for i in self.judged if (marks := self._scan[i][1]) is not None}
        others = [looks[i] for i in torch.randperm(len(self._scan), generator=rng).tolist() if i in looks and i != index][:_OTHERS]
        y, x = (torch.cat(others or [torch.zeros(0, 2)]) * torch.tensor(size)).long().unbind(1)
        union = torch.zeros(1, *size)
        union[0, y, x] = 1
        return union


def named(lines: Sequence[str]) -> str:
    """The first of them in one line, and how many more there are."""
    return ", ".join(lines[:_NAMED]) + (f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else "")


def _lack(seen: Seen) -> str:
    """What of its truth is empty; empty itself where nothing is."""
    empty = {
        "its density is black everywhere": seen.target is not seen.mask and not (seen.target != 0).any(),
        "no fixation": seen.fixations is not None and not (seen.fixations > 0).any(),
        "no object in its mask": seen.mask is not None and not (seen.mask > 0.5).any(),
    }
    return ", ".join(what for what, holds in empty.items() if holds)


def resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Pictures or maps in [0, 1], ... x H x W, at another size as MATLAB's `imresize` makes it, clipped to [0, 1];
    unchanged if it has that.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    down, across = (weights_for(maps, n, m) for n, m in zip(maps.shape[-2:], size, strict=True))
    return (down @ maps @ across.T).clamp(0, 1)
