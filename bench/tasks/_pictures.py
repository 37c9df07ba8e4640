"""What tasks on pictures share: cutting tiles, batches of one shape, random crops for training."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.dataset import Picture, PictureSet
from bench.errors import UsageError
from bench.method import Batch, Method
from bench.operators.images import clipped
from bench.stream import mix

_PIXELS = 2**18  # of a batch that is judged at once: 16 tiles of 128 x 128
_CHANCE_SEED = 1984  # of the random numbers that methods draw to restore
_PRELOAD = 512  # pictures of a training set that live on the device whole


def tiles(picture: Picture, size: int, least_contrast: float = 0.0) -> Iterator[Picture]:
    """The picture cut into tiles; whole if `size` is 0, if it came with what is observed, or if it is smaller."""
    if not size or picture.observed is not None or picture.small is not None or min(picture.target.shape[-2:]) < size:
        yield picture
    else:
        yield from cut(picture, size, least_contrast)


def cut(picture: Picture, size: int, least_contrast: float) -> Iterator[Picture]:
    """Size x size tiles from the top left corner, of a pair both sides.

    Tiles whose standard deviation (of the target, mean over channels) is below `least_contrast` are left out.
    """
    height, width = picture.target.shape[-2:]
    for top in range(0, height - size + 1, size):
        for left in range(0, width - size + 1, size):
            window = (..., slice(top, top + size), slice(left, left + size))
            target = picture.target[window]
            if float(target.flatten(1).std(dim=1).mean()) >= least_contrast:
                observed = None if picture.observed is None else picture.observed[window]
                yield Picture(name=f"{picture.name}@{top},{left}", target=target, observed=observed, group=picture.group or picture.name)


def evenly(count: int, most: int) -> list[int]:
    """The indices of `most` of `count` things, evenly spread; of all where there are not more, or where `most` is 0."""
    n = min(most or count, count)
    return [i * count // n for i in range(n)]


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Degraded pictures with their truth, in batches of one shape each; `names` and everything computed from it follow that order."""

    names: list[str]
    batches: list[Batch]
    pictures: list[Picture]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def groups(self) -> dict[str, str]:
        """Picture -> its group (see `Picture`)."""
        return {picture.name: picture.group or picture.name for picture in self.pictures}

    def restore(self, method: Method, progress: Callable[[int], None] = lambda done: None) -> Iterator[tuple[Batch, Tensor]]:
        """Each batch with what the method makes of it, clipped to [0, 1], NaN where it is infinite. The method does not see the truth.

        Raises:
            ValueError: the result has another shape than the truth.
        """
        done = 0
        for batch in self.batches:
            assert batch.target is not None
            x_hat = _restored(method, batch.without_target(), done)
            if x_hat.shape != batch.target.shape:
                raise ValueError(
                    f"{type(method).__name__}.restore returned {tuple(x_hat.shape)} for pictures of {tuple(batch.target.shape)}",
                )
            done += len(batch)
            progress(done)
            yield batch, clipped(x_hat)


def _restored(method: Any, batch: Batch, first: int) -> Tensor:
    """What a method makes of a batch that begins with picture `first`; chance gives a picture the same whatever its company."""
    if not getattr(method, "stochastic_inference", False):
        return method.restore(batch)  # type: ignore[no-any-return]
    restored = []
    for i in range(len(batch)):
        torch.manual_seed(mix(_CHANCE_SEED, first + i))
        restored.append(method.restore(batch.pick(i)))
    return torch.cat(restored)


def evaluation_set(pictures: Iterable[Picture], degrade: Callable[[Picture, int], Batch], device: torch.device) -> EvaluationSet:
    """Degrade picture i by `degrade(picture, i)` (a batch of one) and group by shape.

    Raises:
        UsageError: there are no pictures, or two of one name.
    """
    groups: dict[tuple[object, ...], list[tuple[Picture, Batch]]] = {}
    for i, picture in enumerate(pictures):
        batch = degrade(picture, i)
        groups.setdefault((batch.observed.shape, batch.psf is None or batch.psf.shape), []).append((picture, batch))
    if not groups:
        raise UsageError("no pictures to judge: see `runner.py data` for what the sets have")
    names = Counter(picture.name for group in groups.values() for picture, _ in group)
    if (most := names.most_common(1)[0])[1] > 1:
        raise UsageError(f"two pictures to judge are called {most[0]}: rename one of them")
    ordered, batches = [], []
    for group in groups.values():
        n = max(1, _PIXELS // group[0][0].target[0].numel())
        for start in range(0, len(group), n):
            batches.append(_join([b for _, b in group[start : start + n]]).to(device))
        ordered += [p for p, _ in group]
    return EvaluationSet([p.name for p in ordered], batches, ordered)


def _join(batches: Sequence[Batch]) -> Batch:
    first = batches[0]
    tensors = [f.name for f in dataclasses.fields(Batch) if isinstance(getattr(first, f.name), Tensor)]
    joined: dict[str, Any] = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in tensors}
    return dataclasses.replace(first, **joined)


class Crops:
    """Random crops of training pictures, mirrored at random: small sets live on the device whole, large ones are read as they are drawn.

    Of a small set, pictures that are smaller than the crop are left out; `skipped` has a line for each.

    Raises:
        UsageError: all pictures of a small set are smaller.
    """

    def __init__(self, pictures: PictureSet, size: int, device: torch.device) -> None:
        self.pictures, self.size, self.device = pictures, size, device
        self.cache, self.skipped = None, list[str]()
        if len(pictures) <= _PRELOAD:
            found = [_to(picture, device) for picture in pictures]
            small = [_smaller(picture, size) for picture in found]
            self.skipped = [f"{line}, so it is left out" for line in small if line]
            self.cache = [picture for picture, line in zip(found, small, strict=True) if not line]
            if not self.cache:
                most = max(min(picture.target.shape[-2:]) for picture in found)
                raise UsageError(f"all {len(pictures)} training pictures are smaller than crop={size}: give --set crop={most} or less")

    def draw(self, u: Sequence[float]) -> tuple[Tensor, Tensor | None]:
        """One crop from four numbers in [0, 1): target 3 x size x size, and the observed one where the set brings it.

        Raises:
            ValueError: the picture of a large set is smaller than the crop.
        """
        index = int(u[0] * len(self.cache or self.pictures))
        picture = self.cache[index] if self.cache else _to(self.pictures[index], self.device)
        if line := _smaller(picture, self.size):
            raise ValueError(f"{line}: give a smaller crop, or take it out of the data set")
        (height, width), size = picture.target.shape[-2:], self.size
        top, left = int(u[1] * (height - size + 1)), int(u[2] * (width - size + 1))

        def cut(image: Tensor) -> Tensor:
            window = image[:, top : top + size, left : left + size]
            return window.flip(-1) if u[3] < 0.5 else window

        return cut(picture.target), None if picture.observed is None else cut(picture.observed)


def _smaller(picture: Picture, size: int) -> str:
    """That a picture is smaller than a crop; empty where it is not."""
    height, width = picture.target.shape[-2:]
    return f"the training picture {picture.name} is {width} x {height}, smaller than crop={size}" if min(height, width) < size else ""


def _to(picture: Picture, device: torch.device) -> Picture:
    observed = None if picture.observed is None else picture.observed.to(device)
    return dataclasses.replace(picture, target=picture.target.to(device), observed=observed)
