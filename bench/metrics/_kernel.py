"""Maximum mean discrepancy (Gretton et al., JMLR 2012, Lemma 6), summed in blocks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Sum = Callable[[Tensor, Tensor], Tensor]
"""n x d, m x d -> the sum of the kernel over all n m pairs."""

_ROWS = 1024


def unbiased_mmd(fake: Tensor, real: Tensor, total: Sum, diagonal: Callable[[Tensor], Tensor]) -> Tensor:
    """The unbiased estimate of the squared discrepancy; may be negative.

    Args:
        fake: n x d, float64.
        real: m x d, float64.
        total: sums the kernel over pairs.
        diagonal: n x d -> n, the kernel of each row with itself.
    """
    n, m = len(fake), len(real)
    within = [(total(x, x) - diagonal(x).sum()) / (len(x) * (len(x) - 1)) for x in (fake, real)]
    return within[0] + within[1] - 2 * total(fake, real) / (n * m)


def polynomial_mmd(fake: Tensor, real: Tensor) -> Tensor:
    """With the kernel (x.y / d + 1)^3 of the kernel Inception distance."""
    d = fake.shape[1]

    def total(a: Tensor, b: Tensor) -> Tensor:
        return torch.stack([(rows @ b.T).div_(d).add_(1).pow_(3).sum() for rows in torch.split(a, _ROWS)]).sum()

    return unbiased_mmd(fake, real, total, lambda x: (x.square().sum(1) / d + 1) ** 3)
