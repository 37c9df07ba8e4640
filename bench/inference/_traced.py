"""A method as one network from pictures to pictures, or from latents to samples, and the inputs with which it is traced and tried."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch

_TRACED = (2, 267, 283)  # pictures, height, width: no multiples of what a network pads to, and larger
_OTHERS = ((1, 272, 328), (3, 347, 301))  # sizes that the result is held to besides
_LATENTS = (2, 5)


class TracedNetwork(nn.Module):
    """Base: holds the method's networks as its own, so that their weights go along."""

    free: tuple[str, ...] = ()  # names of the axes after the first that may be of any size

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.method = method
        for name, network in method.modules().items():
            self.add_module(name, network)


class _Restoration(TracedNetwork):
    free = ("H", "W")

    @override
    def forward(self, observed: Tensor) -> Tensor:
        y: Tensor = self.method.restore(Batch(observed))
        return y.clamp(0, 1)


class _Generation(TracedNetwork):
    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.method.decode(z)
        return y.clamp(0, 1) if y.dim() == 4 else y


def traced_network(method: Any) -> tuple[TracedNetwork, list[Tensor]]:
    """The network, and inputs of several sizes, the first of which it is traced with."""
    rng = torch.Generator().manual_seed(0)
    if not hasattr(method, "restore"):
        return _Generation(method).eval(), [method.z(n) for n in _LATENTS]
    channels = getattr(method.task, "channels", 3)
    sizes = [_TRACED, *_OTHERS]
    return _Restoration(method).eval(), [torch.rand(n, channels, h, w, generator=rng).to(method.device) for n, h, w in sizes]


def shapes_of(core: TracedNetwork, x: Tensor) -> tuple[str, str]:
    """Of inputs and outputs, free axes by their names: "N x 3 x H x W", "N x 3 x 4 H x 4 W"."""
    y = core(x)
    times = y.shape[-1] // x.shape[-1] if core.free else 1
    large = [f"{times} {axis}" if times > 1 else axis for axis in core.free]
    fixed = [tensor.shape[1 : tensor.dim() - len(core.free)] for tensor in (x, y)]
    before, after = (" x ".join(map(str, ["N", *sizes, *axes])) for sizes, axes in zip(fixed, (core.free, large)))
    return before, after


def networks_run(method: Any, core: nn.Module, x: Tensor) -> tuple[str, ...]:
    """The networks that are run."""
    seen: set[str] = set()
    hooks = [
        m.register_forward_hook(lambda *_, name=name: seen.add(name))
        for name, network in method.modules().items()
        for m in network.modules()
    ]
    try:
        core(x)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(sorted(seen))
