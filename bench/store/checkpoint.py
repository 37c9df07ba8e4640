"""Trees of tensors and plain values in one safetensors file: the tensors as such, everything else as JSON in its header. Never pickle."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import UsageError


class CorruptCheckpoint(ValueError):
    """A checkpoint is not what was written, or is not there."""


def save(path: Path, tree: Any) -> None:
    """Write atomically: an earlier file stays whole until the new one is. The same tree gives the same bytes.

    Raises:
        UsageError: the disk is full or the folder cannot be written; the earlier checkpoint is intact.
        TypeError: the tree holds something that is neither a tensor nor JSON.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_flatten(tree, tensors, ""))
    head = json.dumps({"tree": text, "sum": _sum(text, tensors)})
    write(path, tensors, {"checkpoint": head})  # one entry: the order of several is another each time, and so would be the file


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
        CorruptCheckpoint: no such file, or not every bit is as it was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=str(device)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            metadata = file.metadata() or {}
        head = json.loads(metadata["checkpoint"])
        text = head["tree"]
        if head["sum"] != _sum(text, tensors):
            raise ValueError("its checksum does not hold")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CorruptCheckpoint(f"cannot read the checkpoint {path}: {error}") from error
    return _restore(json.loads(text), tensors)


def _sum(text: str, tensors: dict[str, Tensor]) -> str:
    """The CRC-32 of all that a checkpoint holds."""
    value = zlib.crc32(text.encode())
    for key in sorted(tensors):
        tensor = tensors[key].cpu()
        value = zlib.crc32(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), value)
    return f"{value:08x}"


def to(tree: Any, device: torch.device | str) -> Any:
    """The tree with its tensors on a device."""
    if isinstance(tree, Tensor):
        return tree.to(device)
    if isinstance(tree, dict):
        return {k: to(v, device) for k, v in tree.items()}
    return [to(v, device) for v in tree] if isinstance(tree, list) else tree


def _flatten(node: Any, tensors: dict[str, Tensor], place: str) -> Any:
    """The tree as JSON, its tensors taken out of it and named by their place, such as "method.G.0.weight"."""
    if isinstance(node, Tensor):
        key = place if place not in tensors else f"{place}#{len(tensors)}"
        tensors[key] = node.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(node, dict):
        return {"dict": [[_flatten(k, tensors, place), _flatten(v, tensors, f"{place}.{k}".lstrip("."))] for k, v in node.items()]}
    if isinstance(node, (list, tuple)):
        return {
            type(node).__name__ if type(node) in (list, tuple) else "list": [
                _flatten(v, tensors, f"{place}.{i}") for i, v in enumerate(node)
            ]
        }
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
