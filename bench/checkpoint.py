"""Trees of tensors and plain values in one safetensors file: the tensors as such, everything else as JSON in its header. Never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import UsageError


def save(path: Path, tree: Any) -> None:
    """Write atomically: an earlier file stays whole until the new one is.

    Raises:
        UsageError: the disk is full or the folder cannot be written; the earlier checkpoint is intact.
        TypeError: the tree holds something that is neither a tensor nor JSON.
    """
    tensors: dict[str, Tensor] = {}
    write(path, tensors, {"tree": json.dumps(_flatten(tree, tensors))})


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically.

    Raises:
        UsageError: the disk is full or the folder cannot be written; the earlier file is intact.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata=metadata)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as its own error
        part.unlink(missing_ok=True)
        reason = f"cannot write {path}: {error}"
        raise UsageError(f"{reason}; free some space or give another --out (the earlier checkpoint is intact)") from error


def load(path: Path, device: torch.device | str = "cpu") -> Any:
    """Read what `save` wrote.

    Raises:
        UsageError: no such file, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=str(device)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            skeleton = json.loads((file.metadata() or {})["tree"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error}; delete it to start this trial afresh") from error
    return _restore(skeleton, tensors)


def _flatten(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        key = str(len(tensors))
        tensors[key] = node.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(node, dict):
        return {"dict": [[_flatten(k, tensors), _flatten(v, tensors)] for k, v in node.items()]}
    if isinstance(node, (list, tuple)):
        return {type(node).__name__ if type(node) in (list, tuple) else "list": [_flatten(v, tensors) for v in node]}
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    raise TypeError(f"a {type(node).__name__} cannot be saved in a checkpoint: keep tensors, numbers, strings, lists and dicts on self")


def _restore(node: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {_restore(k, tensors): _restore(v, tensors) for k, v in value}
    items = [_restore(v, tensors) for v in value]
    return tuple(items) if kind == "tuple" else items
