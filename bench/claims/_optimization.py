"""What the claims about optimisers share: a registered one by its spec, and the path it takes down a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bench import registry
from bench.errors import Unavailable
from bench.spec import parse


def optimizer(spec: str, params: Sequence[Tensor]) -> torch.optim.Optimizer:
    """The registered optimiser of that spec over `params`.

    Raises:
        Unavailable: none of that name is registered.
        UsageError: an unknown option.
    """
    if not registered(spec):
        raise Unavailable(f"the optimizer {parse(spec).name} is not registered")
    opt: torch.optim.Optimizer = registry.make("optimizer", spec)(params)
    return opt


def registered(*specs: str) -> list[str]:
    """Those of the specs whose optimiser is registered, so that a claim about a family covers who is there."""
    known = registry.names("optimizer")
    return [spec for spec in specs if parse(spec).name in known]


def path(spec: str, start: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> Tensor:
    """The iterates of an optimiser on a loss, the start first: (steps + 1) x the shape of `start`. Raises as `optimizer`."""
    w = nn.Parameter(start.clone())
    opt = optimizer(spec, [w])

    def closure() -> Tensor:
        (w.grad,) = torch.autograd.grad(value := loss(w), w)
        return value

    iterates = [start]
    for _ in range(steps):
        opt.step(closure)  # type: ignore[arg-type]
        iterates.append(w.detach().clone())
    return torch.stack(iterates)


def thin(n: int, most: int = 200) -> Tensor:
    """At most some `most` of the places 0 ... n - 1, closer together at the start; the last is among them."""
    return torch.cat([torch.arange(most // 4), torch.logspace(0, 1, most, base=n)]).long().clamp(max=n - 1).unique()
