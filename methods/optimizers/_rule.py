"""What the update rules that torch lacks share: one step over lists of tensors, complete state, and float32 under narrower parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from methods.optimizers._kept import Kept, wide

Buffers = Mapping[str, list[Tensor]]


class Rule(Kept):
    """An optimiser that is one `update` of a list of parameters at a time.

    Buffers start at 0 and are float32 at least, whatever the parameters are. A group counts its steps in "t", 1 in the first.

    Args:
        params: real tensors, or groups of them.
        options: the defaults of every group, "lr" and "weight_decay" among them; none is negative.

    Raises:
        UsageError: an option is out of range, or a parameter is complex.
    """

    buffers: ClassVar[tuple[str, ...]] = ()
    capturable: ClassVar[bool] = True  # whether `update` takes "lr" and "t" as tensors too
    decoupled: ClassVar[bool] = False  # whether `update` applies the weight decay; it is added to g otherwise

    def __init__(self, params: Iterable[Any], options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            top = 1 if name in {"betas", "momentum"} else math.inf
            if not all(0 <= x < top for x in (value if isinstance(value, tuple) else (value,))):
                raise UsageError(f"optimizer {type(self).__module__.rpartition('.')[2]}: {name} must be in [0, {top}), not {value}")
        super().__init__(params, {"t": 0, **options})

    @override
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as torch does; complex parameters are refused."""
        super().add_param_group(param_group)
        if any(p.is_complex() for p in self.param_groups[-1]["params"]):
            raise UsageError("this optimizer is defined for real parameters only")

    def update(self, w: list[Tensor], g: list[Tensor], s: Buffers, group: dict[str, Any]) -> None:
        """Step number `group["t"]`, in place: parameters w and buffers s, in the order of w. The gradients g are not to be written."""
        raise NotImplementedError

    @torch.no_grad()
    @override
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; with a closure, after calling it. Returns what the closure returned.

        Raises:
            UsageError: a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if w := [p for p in group["params"] if p.grad is not None]:
                g, s = self._gradients(w, group), self._buffers(w, self.buffers_of(group))
                group["t"] += 1
                self.update(w, g, s, group)
        return loss

    def make_capturable(self) -> None:
        """Keep "lr" and "t" of every group as tensors beside its parameters, so that each step is the same program; where the rule can."""
        for group in self.param_groups if self.capturable else ():
            first = group["params"][0]
            group["lr"] = torch.tensor(float(group["lr"]), dtype=wide(first), device=first.device)
            group["t"] = torch.tensor(float(group["t"]), dtype=torch.float64, device=first.device)

    def buffers_of(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the buffers that the parameters of a group have."""
        return self.buffers

    def _buffers(self, w: Sequence[Tensor], names: tuple[str, ...]) -> Buffers:
        states = [self.state[p] for p in w]
        for p, state in zip(w, states, strict=True):
            if not state:
                state.update({name: torch.zeros_like(p, dtype=wide(p)) for name in names})
        return {name: [state[name] for state in states] for name in names}

    def _gradients(self, w: list[Tensor], group: Mapping[str, Any]) -> list[Tensor]:
        g = [p.grad for p in w if p.grad is not None]
        if any(x.is_sparse for x in g):
            raise UsageError("this optimizer is defined for dense gradients only")
        g = [x.to(wide(x)) for x in g]
        if (decay := group["weight_decay"]) and not self.decoupled:
            g = list(torch._foreach_add(g, w, alpha=decay))
        return g


def average(m: list[Tensor], x: list[Tensor], b: float) -> None:
    """In place: m = b m + (1 - b) x."""
    torch._foreach_lerp_(m, x, 1 - b)


def average_squares(v: list[Tensor], g: list[Tensor], b: float) -> None:
    """In place: v = b v + (1 - b) g^2."""
    torch._foreach_mul_(v, b)
    torch._foreach_addcmul_(v, g, g, 1 - b)


def root(v: list[Tensor], eps: float) -> list[Tensor]:
    """Sqrt(v) + eps, new tensors."""
    roots = list(torch._foreach_sqrt(v))
    torch._foreach_add_(roots, eps)
    return roots


def subtract(w: list[Tensor], steps: list[Tensor], lr: float | Tensor) -> None:
    """In place: w = w - lr steps; a rate that is a tensor is multiplied into `steps`."""
    if isinstance(lr, Tensor):
        torch._foreach_mul_(steps, lr)
        torch._foreach_sub_(w, steps)
    else:
        torch._foreach_add_(w, steps, alpha=-lr)


def subtract_quotient(w: list[Tensor], x: list[Tensor], y: list[Tensor], lr: float | Tensor) -> None:
    """In place: w = w - lr x / y."""
    if isinstance(lr, Tensor):
        subtract(w, list(torch._foreach_div(x, y)), lr)
    else:
        torch._foreach_addcdiv_(w, x, y, -lr)


def look_ahead(w: list[Tensor], steps: list[Tensor], ahead: list[Tensor]) -> None:
    """Subtract `steps` from the iterate and stay one such step ahead of it, where the next gradient is to be taken.

    Parameters rest at w - ahead, not at the iterate w, which torch's Nesterov does too: so one gradient at the parameters is all that a
    rule asks of a training loop, and clipping or projecting the parameters is felt. `ahead` becomes `steps`.
    """
    torch._foreach_add_(ahead, steps, alpha=-2)  # (w - s) - s, from w - ahead, rounded once
    torch._foreach_add_(w, ahead)
    torch._foreach_copy_(ahead, steps)
