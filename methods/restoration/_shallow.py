"""What SRCNN and ESPCN share: they enlarge luma and leave colour to bicubic, and their last layer learns ten times slower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.operators.resize import enlarge
from bench.operators.transfer import constant

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from bench.method import Method

_YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))  # of 255; BT.601, as MATLAB's rgb2ycbcr
_INVERSE = tuple(map(tuple, torch.linalg.inv(torch.tensor(_YCBCR, dtype=torch.float64, device="cpu") / 255).tolist()))
_OFFSET = (16, 128, 128)


def luma(rgb: Tensor) -> Tensor:
    """N x 3 x H x W in [0, 1] to N x 1 x H x W in [16, 235] / 255."""
    return to_ycbcr(rgb)[:, :1]


def coloured(y: Tensor, small: Tensor, scale: int) -> Tensor:
    """RGB in [0, 1] of an enlarged luma, with the bicubic colours of the small picture."""
    colours = enlarge(to_ycbcr(small)[:, 1:], scale)
    ycbcr = torch.cat([y, colours], 1) - constant(_OFFSET, y).view(3, 1, 1) / 255
    return torch.einsum("oc,nchw->nohw", constant(_INVERSE, y), ycbcr).clamp(0, 1)


def to_ycbcr(rgb: Tensor) -> Tensor:
    """N x 3 x H x W in [0, 1] to Y in [16, 235] / 255, Cb and Cr in [16, 240] / 255."""
    return torch.einsum("oc,nchw->nohw", constant(_YCBCR, rgb) / 255, rgb) + constant(_OFFSET, rgb).view(3, 1, 1) / 255


def last_slower(m: Method, body: nn.Module, last: nn.Module) -> Optimizer:
    """The method's optimiser of both, a tenth of the rate for the last layer."""
    opt = m.optimizer(body)
    rate = opt.param_groups[0]["lr"] / 10
    opt.add_param_group({"params": list(last.parameters()), "lr": rate, "base_lr": rate})
    return opt
