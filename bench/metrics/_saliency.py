"""What scores of saliency maps share: the call, maps as distributions, the ROC curve at steps of a threshold.

The definitions are those of the MIT saliency benchmark, written out in Bylinskii, Judd, Oliva, Torralba and Durand, "What do different
evaluation metrics tell us about saliency models?" (PAMI 2019, arXiv:1604.03605).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

EPS = 2.0**-52  # MATLAB's eps, in the definitions with a logarithm


def stretch(maps: Tensor) -> Tensor:
    """Each map stretched to [0, 1]; a constant one becomes all ones (MATLAB's divides by zero). N x H x W -> N x P."""
    flat = maps.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    return torch.where(high > low, (flat - low) / (high - low), 1.0)


def rise(maps: Tensor) -> Tensor:
    """What each map rises above its minimum, scaled to sum 1, as `to_distribution` of `stretch`. N x H x W -> N x P."""
    flat = maps.flatten(1)
    above = flat - flat.amin(1, keepdim=True)
    total = above.sum(1, keepdim=True)
    return torch.where(total > 0, above.div_(total), 1 / flat.shape[1])


def to_distribution(maps: Tensor) -> Tensor:
    """Each map scaled to sum 1; a map of zeros stays one. N x ... -> N x P."""
    flat = maps.flatten(1)
    total = flat.sum(1, keepdim=True)
    return flat / torch.where(total != 0, total, 1.0)


def centre(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Each map less its mean, N x H x W -> N x P, and the root of the sum of squares of that, N: 0 of a constant map."""
    flat = maps.flatten(1)
    mean = flat.mean(1, keepdim=True)
    centred = flat - mean
    norm = torch.linalg.vector_norm(centred, dim=1)
    rounding = 1e-12 * mean[:, 0].abs() * flat.shape[1] ** 0.5  # by which the mean of equal numbers may differ from them
    return centred, torch.where(norm > rounding, norm, 0.0)


def values_at(maps: Tensor, marks: Tensor) -> Iterator[Tensor]:
    """The values of each map where its marks are positive. N x P and N x H x W -> N vectors."""
    return (values[where] for values, where in zip(maps, marks.flatten(1) > 0, strict=True))


def area(positives: Tensor, negatives: Tensor, step: float) -> Tensor:
    """Mean area under the ROC curves of one set of positives against each row of negatives, at thresholds 0, step, 2 step, ..., 1.

    Args:
        positives: n values in [0, 1].
        negatives: splits x m values in [0, 1].
        step: between thresholds; thresholds above every value add nothing, so this is MIT's sweep up to the maximum.
    """
    thresholds = torch.arange(int(1 / step + 1e-9), -1, -1, dtype=positives.dtype, device=positives.device) * step
    tp = _share_at_least(positives[None], thresholds).expand(len(negatives), -1)
    fp = _share_at_least(negatives, thresholds)
    ends = torch.zeros_like(fp[:, :1]), torch.ones_like(fp[:, :1])
    return torch.trapezoid(torch.cat([ends[0], tp, ends[1]], 1), torch.cat([ends[0], fp, ends[1]], 1)).mean()


def _share_at_least(values: Tensor, thresholds: Tensor) -> Tensor:
    """Rows x m values -> rows x thresholds."""
    below = torch.searchsorted(values.sort(1).values, thresholds.expand(len(values), -1).contiguous())
    return 1 - below.double() / values.shape[1]
