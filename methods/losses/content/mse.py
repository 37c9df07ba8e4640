"""Mean squared error."""

import torch.nn.functional as F
from torch import Tensor


def mse(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean of (x_hat - x)^2 over all entries; both N x C x H x W, any range; a scalar."""
    return F.mse_loss(x_hat, x)
