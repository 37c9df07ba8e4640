"""Evaluation leaves no trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from bench.method import Method
from bench.stream import mix


@contextlib.contextmanager
def judging(method: Method, seed: int = 0) -> Iterator[None]:
    """Evaluation leaves no trace: eval mode, no gradients, forked random numbers (CPU and CUDA) that start from `seed`."""
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
