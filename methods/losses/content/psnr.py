"""Minus PSNR, the loss that pays every picture alike. HINet (Chen, Lu, Zhang, Chu, Chen. CVPRW 2021, arXiv:2105.06086)."""

from __future__ import annotations

from torch import Tensor


def psnr(x_hat: Tensor, x: Tensor, *, eps: float = 1e-8) -> Tensor:
    """The batch's mean of 10 log10(squared error of the picture + eps): smooth pictures count as much as busy ones.

    Args:
        x_hat: N x C x H x W, any range.
        x: same shape.
        eps: keeps the gradient finite at equality.

    Returns:
        A scalar in dB, up to the constant of the range (+6.02 for [-1, 1] against [0, 1]).
    """
    return 10 * ((x_hat - x).square().flatten(1).mean(1) + eps).log10().mean()
