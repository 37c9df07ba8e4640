"""Adaptive Subgradient Methods for Online Learning and Stochastic Optimization. Duchi, Hazan, Singer. JMLR 12, 2011."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import override

from methods.optimizers._kept import wide
from methods.optimizers._options import LearningRate, WeightDecay
from methods.optimizers._rule import root, subtract_quotient
from methods.optimizers._torch import from_torch


def adagrad(
    params: Sequence[Tensor],
    *,
    lr: LearningRate = 1e-2,
    eps: Annotated[float, "added to the root of the summed squares, so that none is divided by zero"] = 1e-10,
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Fig. 1, diagonal: v = v + g^2, w -= lr g / (sqrt(v) + eps), v starting at 0. torch.optim.Adagrad, fused on the CPU.

    `weight_decay` adds that multiple of w to g.
    """
    return from_torch(_Adagrad, params, lr=lr, eps=eps, weight_decay=weight_decay)


class _Adagrad(torch.optim.Adagrad):
    def __init__(self, params: Sequence[Tensor], **options: Any) -> None:
        super().__init__(params, **options)
        self._start(self.param_groups)

    @override
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Torch 2.11 gives state to the parameters of its constructor only."""
        super().add_param_group(param_group)
        self._start(self.param_groups[-1:])

    def _start(self, groups: Sequence[dict[str, Any]]) -> None:
        for p in (p for group in groups for p in group["params"]):
            self.state[p] = {"step": torch.zeros((), device="cpu"), "sum": torch.zeros_like(p, dtype=wide(p))}

    def make_capturable(self) -> None:
        """Keep rates and counts of steps beside the parameters, and step there: torch's step reads its count on the host."""
        for group in self.param_groups:
            group |= {"capturable": True, "lr": torch.tensor(float(group["lr"]), device=group["params"][0].device)}
            for p in group["params"]:
                self.state[p]["step"] = self.state[p]["step"].to(p.device)
        self._step = self._step_on_device

    def _step_on_device(self) -> None:
        for group in self.param_groups:
            w = [p for p in group["params"] if p.grad is not None]
            counts, sums = ([self.state[p][name] for p in w] for name in ("step", "sum"))
            g = [p.grad for p in w]
            if w:
                torch._foreach_add_(counts, 1)
                g = list(torch._foreach_add(g, w, alpha=group["weight_decay"])) if group["weight_decay"] else g
                torch._foreach_addcmul_(sums, g, g)
                subtract_quotient(w, g, root(sums, group["eps"]), group["lr"])
