"""The mark that says on which device a tensor lies: an attribute of its storage."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

CPU = torch.device("cpu")


def index_of(x: Any) -> int | None:
    """The number of the shadow device that a tensor lies on; None: the CPU."""
    with torch._C.DisableTorchFunction():
        try:
            return getattr(x.untyped_storage(), "_shadow", None)
        except (RuntimeError, NotImplementedError):  # sparse, meta and functional tensors have no storage
            return None


def device_of(x: Tensor) -> torch.device:
    """The device that a tensor says it lies on."""
    index = index_of(x)
    return CPU if index is None else torch.device("cuda", index)


def is_on_device(x: Any) -> bool:
    """Whether a tensor lies on a shadow device."""
    return index_of(x) is not None


def put_on_device(x: Any, index: int = 0) -> Any:
    """Mark a tensor, with all that shares its storage."""
    with torch._C.DisableTorchFunction(), contextlib.suppress(RuntimeError, NotImplementedError):
        x.untyped_storage()._shadow = index
    return x


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors of nested arguments."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def devices_of(tensors: list[Tensor]) -> list[int | None]:
    """Where each lies."""
    return [index_of(x) for x in tensors]


def wanted(device: Any) -> int | None:
    """The number that "cuda", "cuda:1", 1 or a torch.device asks for; None: the CPU."""
    if isinstance(device, int) and not isinstance(device, bool):
        return device
    asked = torch.device(device)
    return (asked.index or 0) if asked.type == "cuda" else None
