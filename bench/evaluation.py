"""The state in which methods are evaluated, and from which training goes on as if nothing had happened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from bench.method import Method
from bench.stream import mix


@contextlib.contextmanager
def evaluation_mode(method: Method, seed: int = 0) -> Iterator[None]:
    """Networks in eval mode, no gradients, random numbers (CPU and CUDA) forked and started from `seed`; all of it undone at the end.

    Args:
        method: every network that is an attribute of it is switched, frozen ones too.
        seed: of the random numbers that evaluation draws.
    """
    modes = [(m, m.training) for network in method.modules().values() for m in network.modules()]
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(mix(seed, 1))
        for module, _ in modes:
            module.training = False
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
