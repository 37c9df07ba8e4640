"""What scores of labels share: counts of pixels by true and by read class. Long et al., CVPR 2015, Sec. 5."""

from __future__ import annotations

import torch
from torch import Tensor


def count(true: Tensor, read: Tensor, classes: int, columns: int) -> Tensor:
    """Pixels of class i that were read as j: classes x columns, float64.

    Args:
        true: classes of the pixels that count, 0 to classes - 1, int64, any shape.
        read: what was read in them, 0 to columns - 1, same shape.
        classes: rows.
        columns: classes; or one more, for what is none of them.
    """
    counts = torch.bincount(true.flatten() * columns + read.flatten(), minlength=classes * columns)
    return counts.view(classes, columns).double()


def tally(counts: Tensor) -> Tensor:
    """Hits and wholes, 2 x (1 + 2 K), of a count, K x columns; they add up over a set.

    Each of the 1 + 2 K pairs is a ratio: the share of all pixels that were read right, that of each class, each class's intersection over
    union.
    """
    hits, true, read = counts.diagonal(), counts.sum(1), counts.sum(0)[: len(counts)]
    return torch.stack([torch.cat([hits.sum()[None], hits, hits]), torch.cat([true.sum()[None], true, true + read - hits])])


def shares(tallied: Tensor) -> Tensor:
    """Pixel accuracy, mean class accuracy and mean intersection over union of a tally: 3 values; nan where nothing was counted.

    Classes that the truth (for the union: either side) does not show are left out of the means.
    """
    return _means(tallied[0] / tallied[1], tallied[1] > 0)


def shares_of_pictures(tallies: Tensor) -> Tensor:
    """Three values a picture: their means are the `shares` of all together, their spreads those over pictures (the delta method).

    A ratio of sums is R = sum x / sum y; picture i stands for R + (x_i - R y_i) / mean y. N x 2 x (1 + 2 K) -> N x 3.
    """
    hits, wholes = tallies.unbind(1)
    pooled = hits.sum(0) / wholes.sum(0)
    return _means(pooled + (hits - pooled * wholes) / wholes.mean(0), wholes.sum(0) > 0)


def _means(values: Tensor, shown: Tensor) -> Tensor:
    """... x (1 + 2 K) -> ... x 3: means over the classes that are shown."""
    k = (values.shape[-1] - 1) // 2
    rows = (slice(0, 1), slice(1, 1 + k), slice(1 + k, None))
    return torch.stack([values[..., row][..., shown[row]].mean(-1) for row in rows], -1)
