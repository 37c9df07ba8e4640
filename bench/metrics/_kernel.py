"""Maximum mean discrepancy (Gretton et al., JMLR 2012, Lemma 6), summed in blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]
"""k x d and m x d -> the kernel of every pair, k x m."""

_ROWS = 256


def weighted_sums(kernel: Kernel, a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor) -> Tensor:
    """Sum over i, j of of_a[i, k] kernel(a_i, b_j) of_b[j, k], for each k. Of a set with itself only half of the pairs are computed.

    Args:
        kernel: symmetric.
        a: n x d, float64.
        b: m x d, float64; the very same tensor as `a` where a set meets itself.
        of_a: n x K.
        of_b: m x K, the same as `of_a` where `b` is `a`.
    """
    total = of_a.new_zeros(of_a.shape[1])
    for start in range(0, len(a), _ROWS):
        rows, weights = a[start : start + _ROWS], of_a[start : start + _ROWS]
        if a is not b:
            total += (weights * (kernel(rows, b) @ of_b)).sum(0)
            continue
        values = kernel(rows, b[start:])  # with themselves, once, and with those below, whose pairs count twice
        total += (weights * (2 * (values @ of_b[start:]) - values[:, : len(rows)] @ weights)).sum(0)
    return total


def mean_between(kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of n x d and m x d."""
    return weighted_sums(kernel, a, b, *(x.new_ones(len(x), 1) for x in (a, b)))[0] / (len(a) * len(b))


def mean_within(kernel: Kernel, x: Tensor, diagonal: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of different rows of n x d; `diagonal`, n: each with itself."""
    ones = x.new_ones(len(x), 1)
    return (weighted_sums(kernel, x, x, ones, ones)[0] - diagonal.sum()) / (len(x) * (len(x) - 1))


def cubic(a: Tensor, b: Tensor) -> Tensor:
    """(x.y / d + 1)^3, the kernel of the kernel Inception distance."""
    values = (a @ b.T).div_(a.shape[1]).add_(1)
    return values.square().mul_(values)


def cubic_diagonal(x: Tensor) -> Tensor:
    """`cubic` of each row with itself."""
    return (x.square().sum(1) / x.shape[1] + 1) ** 3
