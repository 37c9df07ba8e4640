"""Improving Generalization Performance by Switching from Adam to SGD. Keskar, Socher. 2017, arXiv:1712.07628."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._options import Betas, Epsilon, LearningRate, WeightDecay
from methods.optimizers._rule import Buffers, Rule, average, average_squares, root


def swats(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Epsilon = 1e-9,
    atol: Annotated[float, "how near the projected rate must be to its average for the switch"] = 1e-9,
    rtol: Annotated[float, "the same, as a share of the projected rate"] = 0.0,
    scope: Annotated[
        Literal["global", "tensor"], "what is judged and switches: all parameters as one vector, or each tensor by itself"
    ] = "global",
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Algorithm 1: Adam's steps p until gamma = p.p / -p.g, p over all parameters, agrees with its corrected average; then descent at that.

    With e = (b2 e + (1 - b2) gamma) / (1 - b2^t), uncorrected inside, the switch comes when t > 1, e > 0 and |e - gamma| < atol + rtol
    |gamma|. From then on u = b1 u + g, w -= (1 - b1) L u with L = e of the switch and u from 0; a schedule scales L as it scales lr.

    The paper's tolerance is `atol` alone, which the noise of batches hardly ever meets; `rtol=1e-3` is the practical one.
    With `scope=tensor` each tensor is judged and switches by itself, which is what libraries do; the paper has one vector.
    `weight_decay` adds that multiple of w to g. A GPU decides for itself, so that no step waits for it; the numbers agree to rounding.
    A group, and so the record, tells "gamma", "estimate" (e), "switched" (the last step of Adam, 0 before) and then "rate" (L).
    """
    options = {"lr": lr, "betas": betas, "eps": eps, "atol": atol, "rtol": rtol, "weight_decay": weight_decay}
    groups = [{"params": [p]} for p in params] if scope == "tensor" else params
    return _SWATS(groups, {**options, **dict.fromkeys(_DECIDED, 0.0), "switched": 0})


_DECIDED = ("gamma", "average", "estimate", "switched", "rate", "rate_lr")


class _SWATS(Rule):
    capturable = False  # its bias corrections are computed from a count of steps in Python
    buffers = ("m", "v")  # m is the velocity u after the switch

    def extra_metrics(self) -> dict[str, float]:
        """The criterion and the switch: "rate", or "rate.0", "rate.1", ... where there are several groups."""
        told = ("gamma", "estimate", "switched", "rate")
        many = len(self.param_groups) > 1
        numbers = {f"{name}.{i}" if many else name: float(group[name]) for i, group in enumerate(self.param_groups) for name in told}
        return super().extra_metrics() | numbers

    @override
    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        if w[0].is_cpu:
            self._update_on_host(w, g, s, group)
        else:
            self._update_on_device(w, g, s, group)

    def _update_on_host(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        """The step that is due: Adam's with its criterion, or that of descent."""
        b1 = group["betas"][0]
        if group["switched"]:
            torch._foreach_mul_(s["m"], b1)
            torch._foreach_add_(s["m"], g)
            torch._foreach_add_(w, s["m"], alpha=-(1 - b1) * group["rate"] * group["lr"] / group["rate_lr"])
            return
        average(s["m"], g, b1)
        average_squares(s["v"], g, group["betas"][1])
        p = list(torch._foreach_div(s["m"], root(s["v"], group["eps"])))
        torch._foreach_mul_(p, _scale(group))
        torch._foreach_add_(w, p)
        if self._settled(p, g, group):
            group.update(switched=group["t"], rate=group["estimate"], rate_lr=group["lr"])
            torch._foreach_zero_(s["m"])

    @staticmethod
    def _settled(p: list[Tensor], g: list[Tensor], group: dict[str, Any]) -> bool:
        """Project the step on the gradient, average, and compare."""
        pp, pg = _projections(p, g).tolist()
        if pg == 0:
            return False
        b2, gamma = group["betas"][1], pp / -pg
        average = b2 * group["average"] + (1 - b2) * gamma
        estimate = average / (1 - b2 ** group["t"])
        group.update(gamma=gamma, average=average, estimate=estimate)
        return bool(group["t"] > 1 and estimate > 0 and abs(estimate - gamma) < group["atol"] + group["rtol"] * abs(gamma))

    def _update_on_device(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        """Both steps, the one that is not due times 0: which one is due the host never learns."""
        b1, zero = group["betas"][0], torch.zeros((), dtype=torch.float64, device=w[0].device)
        group.update({name: zero + group[name] for name in _DECIDED})
        adam = (group["switched"] == 0).double()
        torch._foreach_mul_(s["m"], b1)
        torch._foreach_add_(s["m"], torch._foreach_mul(g, (1 - b1 * adam).to(g[0].dtype)))
        average_squares(s["v"], g, group["betas"][1])
        p = list(torch._foreach_div(s["m"], root(s["v"], group["eps"])))
        torch._foreach_mul_(p, (adam * _scale(group)).to(p[0].dtype))
        descent = -(1 - b1) * group["rate"] * group["lr"] / (group["rate_lr"] + adam)  # 0 before the switch
        torch._foreach_add_(w, p)
        torch._foreach_add_(w, torch._foreach_mul(s["m"], descent.to(p[0].dtype)))
        torch._foreach_mul_(s["m"], (1 - self._decide(p, g, group)).to(p[0].dtype))

    @staticmethod
    def _decide(p: list[Tensor], g: list[Tensor], group: dict[str, Any]) -> Tensor:
        """As `_settled` and what follows from it, in numbers on the device: 1 in the step of the switch, else 0."""
        (pp, pg), b2 = _projections(p, g).unbind(), group["betas"][1]
        gamma = pp / -pg
        average = b2 * group["average"] + (1 - b2) * gamma
        estimate = average / (1 - b2 ** group["t"])
        for name, value in (("gamma", gamma), ("average", average), ("estimate", estimate)):
            group[name] = torch.where(pg == 0, group[name], value)  # p is 0 after the switch
        near = (estimate - gamma).abs() < group["atol"] + group["rtol"] * gamma.abs()
        now = ((pg != 0) & (estimate > 0) & near).double() * (group["t"] > 1)
        for name, value in (("switched", group["t"]), ("rate", group["estimate"]), ("rate_lr", group["lr"])):
            group[name] = group[name] + now * value
        return now


def _scale(group: dict[str, Any]) -> float:
    """By which m / (sqrt(v) + eps) becomes Adam's step."""
    b1_t, b2_t = (b ** group["t"] for b in group["betas"])
    return float(-group["lr"] * math.sqrt(1 - b2_t) / (1 - b1_t))


def _projections(p: list[Tensor], g: list[Tensor]) -> Tensor:
    """p.p and p.g over all tensors: 2, float64."""
    pairs = ((x.flatten().double(), y.flatten().double()) for x, y in zip(p, g, strict=True))
    return torch.stack([torch.stack([x @ x, x @ y]) for x, y in pairs]).sum(0)
