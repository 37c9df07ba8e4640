"""Constants of colour that several parts share."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.operators.transfer import constant

BT601 = (0.299, 0.587, 0.114)  # R, G, B weights of luma, full range: JPEG, PIL's "L", MATLAB's rgb2gray
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]: what torchvision's networks were trained on


def luma(x: Tensor) -> Tensor:
    """The gray picture of RGB: ... x 3 x H x W to ... x 1 x H x W, same range (BT.601)."""
    return torch.einsum("c,...chw->...hw", constant(BT601, x), x).unsqueeze(-3)
