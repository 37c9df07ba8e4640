"""AMSBound, of Adaptive Gradient Methods with Dynamic Bound of Learning Rate. Luo, Xiong, Liu, Sun. ICLR 2019, arXiv:1902.09843."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from methods.optimizers._bounds import Bounded
from methods.optimizers._rule import Buffers, average, average_squares


def amsbound(
    params: Sequence[Tensor],
    *,
    lr: float = 1e-3,
    final_lr: float = 0.1,
    gamma: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 3: `adabound` with the largest v so far in place of v; the bounds and corrections are those of the authors' code."""
    options = {"lr": lr, "final_lr": final_lr, "gamma": gamma, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    return _AMSBound(params, options)


class _AMSBound(Bounded):
    buffers = ("m", "v", "largest")

    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        average(s["m"], g, group["betas"][0])
        average_squares(s["v"], g, group["betas"][1])
        torch._foreach_maximum_(s["largest"], s["v"])
        self.bounded_step(w, s["m"], s["largest"], group)
