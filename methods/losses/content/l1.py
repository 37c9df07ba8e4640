"""Mean absolute error."""

import torch.nn.functional as F
from torch import Tensor


def l1(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean of |x_hat - x| over all entries; both N x C x H x W, any range; a scalar."""
    return F.l1_loss(x_hat, x)
