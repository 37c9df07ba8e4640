"""How strong the noise of a picture is."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.operators.deterministic import median
from methods.classical._wavelets import analyse


def noise_level(y: Tensor, told: float) -> Tensor:
    """Standard deviation of the noise of each picture, N x 1 x 1 x 1: what was told, or where that is 0, Donoho's robust estimate.

    Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994: median |finest diagonal
    details| / 0.6745, over channels.
    """
    if told:
        return torch.full((len(y), 1, 1, 1), told, dtype=y.dtype, device=y.device)
    return median(analyse(y)[:, :, 3].flatten(1).abs()).view(-1, 1, 1, 1) / 0.6745
