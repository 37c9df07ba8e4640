"""The Charbonnier penalty. Charbonnier, Blanc-Feraud, Aubert, Barlaud. ICIP 1994."""

from typing import Annotated

from torch import Tensor


def charbonnier(
    x_hat: Tensor, x: Tensor, *, eps: Annotated[float, "difference below which the penalty turns from a line into a parabola"] = 1e-3
) -> Tensor:
    """Mean of sqrt((x_hat - x)^2 + eps^2), a smooth L1; both N x C x H x W, any range; a scalar."""
    return ((x_hat - x).square() + eps**2).sqrt().mean()
