"""Label maps: pictures of one channel that hold the number of a class in each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.pixels import decode

ENDINGS = frozenset({".png", ".bmp", ".tif", ".tiff", ".pgm"})
"""Of formats that keep numbers as they are."""

_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_MOST = 4096  # classes: pairs of them are counted


def read_labels(path: Path) -> Tensor:
    """The numbers of a label map, H x W, int64; of a picture with a palette, the indices into it.

    Raises:
        UsageError: the file cannot be read, or has several channels.
    """
    image = decode(path).image
    if image.mode not in _MODES:
        told = f"it has {len(image.getbands())} channels ({image.mode}): a label map has one, with the number of a class in each pixel"
        raise UsageError(one_line(f"cannot read the labels {path}: {told}"))
    return torch.from_numpy(np.array(image).astype(np.int64))


def count_classes(paths: Sequence[Path], ignore: int) -> int:
    """The largest label of some maps and one more; what is to be ignored does not count.

    Raises:
        UsageError: no pixel counts, or there are too many classes to count pairs of; a file cannot be read.
    """
    largest = max(_largest(read_labels(path), ignore) for path in paths)
    if largest < 0:
        raise UsageError(f"no pixel of the true labels counts: all are {ignore}, the label that is ignored")
    if largest >= _MOST:
        raise UsageError(f"the true labels go up to {largest}, more than {_MOST} classes: are these label maps of 8 bits?")
    return largest + 1


def colours_of(labels: Tensor) -> Tensor:
    """A label map as it is shown: 3 x H x W in [0, 1], in the colours of PASCAL VOC, the same for labels that differ by 256."""
    return VOC_COLOURS[labels % 256].permute(2, 0, 1).contiguous()


def _largest(labels: Tensor, ignore: int) -> int:
    counted = labels[labels != ignore]
    return int(counted.max()) if len(counted) else -1


def _voc_colours() -> Tensor:
    """256 x 3 in [0, 1]: bit 3 j + c of an id is bit 7 - j of channel c."""
    ids = torch.arange(256)
    bits = torch.stack([ids >> (3 * j) & 7 for j in range(3)])  # 3 x 256: three bits a round, one a channel
    return torch.stack([torch.stack([(bits[j] >> c & 1) << (7 - j) for j in range(3)]).sum(0) for c in range(3)], 1) / 255


VOC_COLOURS = _voc_colours()
"""The colour of each class id: 256 x 3."""
