"""What every initialiser must hold: it fills all weights or none, under torch's seed, and leaves what is frozen alone."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from bench import registry
from bench.conformance._tools import Checks, place, same


def _network() -> nn.Module:
    """A layer of every kind that networks here are made of, the last one frozen."""
    with place():
        return _layers()


def _layers() -> nn.Module:
    frozen = nn.Linear(16, 2).requires_grad_(False)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(4, 1, 4, stride=2, padding=1), nn.Flatten(), nn.Linear(16, 16), frozen,
    )  # fmt: skip


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """The trainable weights of linear layers and convolutions."""
    layers = ((name, layer) for name, layer in network.named_modules() if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)))
    return {f"{name}.weight": layer.weight for name, layer in layers if layer.weight.requires_grad}


def _initialised(name: str, seed: int, fill: float | None = None) -> tuple[nn.Module, list[Tensor]]:
    """A network after the initialiser under a seed (its weights `fill` before, where given), and its parameters."""
    torch.manual_seed(0)
    network, init = _network(), registry.make("init", name)
    if fill is not None:
        for weight in _weights(network).values():
            nn.init.constant_(weight, fill)
    torch.manual_seed(seed)
    init(network)
    return network, [p.detach().clone() for p in network.parameters()]


def check_fills(name: str) -> None:
    """Every weight has a finite value of its own making; or the network stays as it was built."""
    with torch.random.fork_rng():
        network, _ = _initialised(name, 0, fill=math.nan)
        left = [where for where, weight in _weights(network).items() if not weight.isfinite().all()]
        assert len(left) in (0, len(_weights(network))), f"{name} leaves {left[0]} uninitialised"
        _, values = _initialised(name, 0)
    assert all(p.isfinite().all() for p in values), f"{name} sets a parameter that is not finite"


def check_deterministic(name: str) -> None:
    """The same seed gives the same bits, another one others, unless nothing is changed."""
    with torch.random.fork_rng():
        (network, first), (_, again), (_, other) = (_initialised(name, seed) for seed in (0, 0, 1))
        torch.manual_seed(0)
        built = [p.detach().clone() for p in _network().parameters()]
    assert all(map(same, first, again)), f"{name} gives other weights under the same seed: draw from torch's global random numbers alone"
    assert not all(map(same, first, other)) or all(map(same, first, built)), f"the seed changes nothing in {name}"
    assert [p.requires_grad for p in network.parameters()] == [p.requires_grad for p in _network().parameters()], (
        f"{name} changes what is trained"
    )
    frozen = [i for i, p in enumerate(network.parameters()) if not p.requires_grad]
    assert all(same(first[i], built[i]) for i in frozen), f"{name} changes parameters that are frozen"


def check_fit(name: str) -> None:
    """One that looks at data leaves finite weights, and no hooks."""
    init: Any = registry.make("init", name)
    if not hasattr(init, "fit"):
        return
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, x = _network(), torch.rand(4, 3, 4, 4, device=place())
        init(network)
        init.fit([network], lambda: network(x))
    assert all(p.isfinite().all() for p in network.parameters()), f"{name}.fit sets a parameter that is not finite"
    hooks = [layer for layer in network.modules() if layer._forward_hooks or layer._forward_pre_hooks]
    assert not hooks, f"{name}.fit leaves a hook on a {type(hooks[0]).__name__}" if hooks else ""


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"fills": check_fills, "deterministic": check_deterministic, "fit": check_fit}
