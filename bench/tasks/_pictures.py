"""What tasks on pictures share: cutting tiles, batches of one shape, random crops for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bench.dataset import Picture, PictureSet
from bench.errors import UsageError
from bench.operators.transfer import send
from bench.tasks._decoded import MOST, Decoded, InMemory, Source

PRELOAD = 512  # pictures of a training set that live on the device whole


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


class Crops:
    """Random crops of training pictures, mirrored at random: small sets live on the device whole, of large ones crops are read from a disk.

    Of a small set, pictures that are smaller than the crop are left out; `skipped` has a line for each.

    Args:
        pictures: the set.
        size: of the crops, pixels.
        device: where small sets live.
        held: whether `pictures` holds what it has made in memory, so that it need not be kept on a disk.

    Raises:
        UsageError: all pictures of a small set are smaller.
    """

    def __init__(self, pictures: PictureSet, size: int, device: torch.device, held: bool = False) -> None:
        self.pictures, self.size, self.skipped = pictures, size, list[str]()
        self.reads_files = len(pictures) > PRELOAD
        if self.reads_files:
            self.sources: Sequence[Source] | Decoded = Decoded(pictures, most=0 if held else MOST)
            return
        found = [InMemory(_to(picture, device)) for picture in pictures]
        small = [_smaller(image, size) for image in found]
        self.skipped = [f"{line}, so it is left out" for line in small if line]
        self.sources = [image for image, line in zip(found, small, strict=True) if not line]
        if not self.sources:
            most = max(min(image.sides) for image in found)
            raise UsageError(f"all {len(pictures)} training pictures are smaller than crop={size}: give --set crop={most} or less")

    def draw(self, u: Sequence[float]) -> tuple[Tensor, Tensor | None]:
        """One crop from four numbers in [0, 1): target C x size x size, and the observed one where the set brings it; where the set lies.

        Raises:
            ValueError: the picture of a large set is smaller than the crop.
        """
        size = self.size
        image = self.sources[int(u[0] * len(self.sources))]
        if line := _smaller(image, size):
            raise ValueError(f"{line}: give a smaller crop, or take it out of the data set")
        height, width = image.sides
        crop = image.cut(int(u[1] * (height - size + 1)), int(u[2] * (width - size + 1)), size)
        if u[3] >= 0.5:
            return crop
        target, observed = crop
        return target.flip(-1), None if observed is None else observed.flip(-1)


def together(crops: Sequence[Tensor], device: torch.device) -> Tensor:
    """Crops of one shape as a batch on the device; those that lie on the host are copied there at once."""
    if all(crop.device.type == "cpu" for crop in crops):
        return send(torch.stack(list(crops)), device)
    return torch.stack([send(crop, device) for crop in crops])


def _smaller(image: Source, size: int) -> str:
    """That a picture is smaller than a crop; empty where it is not."""
    height, width = image.sides
    return f"the training picture {image.name} is {width} x {height}, smaller than crop={size}" if min(height, width) < size else ""


def _to(picture: Picture, device: torch.device) -> Picture:
    observed = None if picture.observed is None else picture.observed.to(device)
    return dataclasses.replace(picture, target=picture.target.to(device), observed=observed)
