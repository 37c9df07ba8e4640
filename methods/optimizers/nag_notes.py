"""Nesterov's accelerated gradient as lecture notes have it: look ahead by the whole of the last step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import AveragingMomentum, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers, Rule, average, look_ahead


def nag_notes(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-1, momentum: AveragingMomentum = 0.9, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps m = b m + (1 - b) g(w - lr m), w -= lr m, b the momentum, m starting at 0; the parameters are the look-ahead points w - lr m.

    So validation and test score the look-ahead point, not the iterate w.
    `nag` looks ahead by lr b m, the part of the next step that is known already; this overshoots that by 1 / b.
    """
    return _NAG(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})


class _NAG(Rule):
    buffers = ("m", "ahead")

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        average(s["m"], g, group["momentum"])
        look_ahead(w, list(torch._foreach_mul(s["m"], group["lr"])), s["ahead"])
