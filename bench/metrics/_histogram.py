"""How evenly samples fall on modes."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def evenness(counts: Tensor) -> dict[str, Tensor | float]:
    """How far the shares p of K modes are from the uniform u, nats; nan where there is no sample.

    Returns:
        kl_reverse: KL(p || u), in [0, log K]; for n fair draws about (K - 1) / 2n.
        kl_forward: KL(u || p + 1e-12): large as soon as a mode is missed.
        js: Jensen-Shannon divergence, in [0, log 2].
    """
    k = len(counts)
    p = counts.double() / counts.sum()
    middle = (p + 1 / k) / 2
    entropy_u = math.log(k)
    return {
        "kl_reverse": torch.xlogy(p, p).sum() + entropy_u,
        "kl_forward": -entropy_u - (p + 1e-12).log().mean(),
        "js": (torch.xlogy(p, p).sum() - entropy_u) / 2 - torch.xlogy(middle, middle).sum(),
    }
