"""Nadam as lecture notes have it: Adam without correction, its gradient taken where the last step would lead once more."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers, Rule, average, average_squares, look_ahead, root


def nadam_notes(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= d = lr m / (sqrt(v) + eps), the parameters resting at w - d.

    So g_t is taken at w - lr m_{t-1} / (sqrt(v_{t-1}) + eps), at w in the first step. The notes print v_t there, which depends on g_t.
    Validation and test score the look-ahead point w - d, not the iterate w.
    `weight_decay` adds that multiple of w - d to g.
    """
    return _Nadam(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})


class _Nadam(Rule):
    buffers = ("m", "v", "ahead")

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        average(s["m"], g, group["betas"][0])
        average_squares(s["v"], g, group["betas"][1])
        steps = list(torch._foreach_div(s["m"], root(s["v"], group["eps"])))
        torch._foreach_mul_(steps, group["lr"])
        look_ahead(w, steps, s["ahead"])
