"""How tensors come onto a device without a wait of the host."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


def send(x: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device; to a GPU by way of pinned memory, from which a copy is queued like any operation."""
    device = torch.device(device)
    if device.type != "cuda" or x.device.type != "cpu":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


def constant(values: tuple[Any, ...], like: Tensor) -> Tensor:
    """Fixed numbers as a tensor of the kind of another, on its device, where they are put once. Not to be written to."""
    if torch.compiler.is_compiling():  # a traced tensor must not outlive its trace
        return like.new_tensor(values)
    return _constant(values, like.dtype, like.device)


@functools.lru_cache(maxsize=256)
def _constant(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
