"""Muon: the momentum of each weight matrix, made orthogonal.

Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein. Muon: An optimizer for hidden layers in neural networks. 2024,
kellerjordan.github.io/posts/muon.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import AveragingMomentum, DecoupledWeightDecay, LearningRate
from methods.optimizers._rule import Buffers, Rule, average, average_squares, root, subtract, subtract_quotient

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_BETAS, _EPS = (0.9, 0.95), 1e-10  # of AdamW beside it, as in the authors' code


def muon(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 0.02,
    momentum: AveragingMomentum = 0.95,
    weight_decay: DecoupledWeightDecay = 0.0,
    adam: Annotated[float, "rate of AdamW for all but hidden matrices, as a multiple of `lr`"] = 0.015,
) -> torch.optim.Optimizer:
    """W shrinks by 1 - lr weight_decay; then W -= lr sqrt(max(1, rows / columns)) O(g'), g' = (1 - b) g + b m, m = b m + (1 - b) g.

    O sends the singular values of a matrix to about 1, by five steps of a quintic iteration. Kernels of convolutions count as out x rest.
    The first and the last matrix, and all that is no matrix, follow AdamW (betas 0.9 and 0.95) at `adam` times the rate.
    """
    matrices = [p for p in params if p.dim() >= 2]
    hidden = {id(p) for p in matrices[1:-1]}
    parts = {True: [p for p in params if id(p) in hidden], False: [p for p in params if id(p) not in hidden]}
    groups = [{"params": part, "hidden": kind, "lr": lr if kind else adam * lr} for kind, part in parts.items() if part]
    return _Muon(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "hidden": False})


class _Muon(Rule):
    buffers = ("m", "v")
    decoupled = True

    @override
    def buffers_of(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Hidden matrices keep one average, half of Adam's memory."""
        return ("m",) if group["hidden"] else self.buffers

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        lr, b = group["lr"], group["momentum"]
        torch._foreach_mul_(w, 1 - lr * group["weight_decay"])
        if group["hidden"]:
            average(s["m"], g, b)
            steps = [_orthogonal(x) for x in torch._foreach_lerp(g, s["m"], b)]
            return subtract(w, steps, lr)
        average(s["m"], g, _BETAS[0])
        average_squares(s["v"], g, _BETAS[1])
        c1, c2 = (1 - beta ** group["t"] for beta in _BETAS)
        roots = root(list(torch._foreach_div(s["v"], c2)), _EPS)
        subtract_quotient(w, list(torch._foreach_div(s["m"], c1)), roots, lr)


def _orthogonal(x: Tensor) -> Tensor:
    """O(x) of a matrix, or of a kernel as out x rest, times sqrt(max(1, rows / columns)); of the shape of x."""
    a, b, c = _COEFFICIENTS
    y = x.flatten(1)
    rows, columns = y.shape
    y = y.T if rows > columns else y
    y = y / (y.norm() + 1e-7)
    for _ in range(5):
        square = y @ y.T
        y = a * y + (b * square + c * square @ square) @ y
    y = y.T if rows > columns else y
    return max(1.0, rows / columns) ** 0.5 * y.reshape(x.shape)
