"""Adam as lecture notes have it: no correction for the averages' start at 0."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers, Rule, average, average_squares, root, subtract_quotient


def adam_notes(
    params: Sequence[Tensor], *, lr: LearningRate = 1e-3, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8, weight_decay: WeightDecay = 0.0
) -> torch.optim.Optimizer:
    """Steps m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= lr m / (sqrt(v) + eps), m and v starting at 0.

    The first step is lr (1 - b1) / sqrt(1 - b2), 3.16 lr at the defaults, where that of `adam` is lr. With eps = 0 the rule is `adam` at
    the rate lr (1 - b1^t) / sqrt(1 - b2^t) in step t. `weight_decay` adds that multiple of w to g.
    """
    return _Adam(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})


class _Adam(Rule):
    buffers = ("m", "v")

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        average(s["m"], g, group["betas"][0])
        average_squares(s["v"], g, group["betas"][1])
        subtract_quotient(w, s["m"], root(s["v"], group["eps"]), group["lr"])
