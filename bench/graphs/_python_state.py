"""All of a method that is no tensor, in a form in which its states before and after an update can be compared."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from bench.method import Method

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_FIXED = {"hp", "task", "t"}  # options, what is offered, and the number of the update, which is watched

State = Mapping[str, Any]


def python_state(method: Method) -> State:
    """Path -> number, text, length or kind of everything on `method`, of tensors dtype and shape; Python's and NumPy's random numbers."""
    found = {path: _comparable(value) for path, value in _walk("self", _attributes(method), set())}
    numpy: Any = np.random.get_state()
    return found | {"Python's random state": hash(random.getstate()), "NumPy's random state": hash((numpy[1].tobytes(), numpy[2]))}


def memory(method: Method) -> dict[str, int]:
    """Path -> address of the storage of every tensor on `method`, gradients left out."""
    found = _walk("self", _attributes(method), set())
    return {path: value.untyped_storage()._cdata for path, value in found if isinstance(value, Tensor)}


def difference(before: State, after: State) -> str:
    """The first thing that differs, in words; empty where nothing does."""
    for path, value in after.items():
        if path not in before:
            return f"{path} is new"
        if before[path] != value:
            return f"{path} changes"
    return next((f"{path} is gone" for path in before if path not in after), "")


def _walk(path: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """(path, tensor or plain value or length or kind) of a value and all that it holds, each object once."""
    if isinstance(value, (Tensor, *_PLAIN)):
        yield path, value
    elif id(value) not in seen and not (callable(value) and not isinstance(value, nn.Module)):
        seen.add(id(value))
        if isinstance(value, (Mapping, list, tuple, deque)):
            yield path, len(value)
        else:
            yield path, sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else type(value)
        for name, entry in _entries(value):
            yield from _walk(path + name, entry, seen)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple, deque)):
        yield from ((f"[{i}]", entry) for i, entry in enumerate(value))
    elif isinstance(value, Mapping):  # the state of an optimizer has tensors for keys
        yield from ((f".{i if isinstance(key, Tensor) else key}", entry) for i, (key, entry) in enumerate(value.items()))
    else:
        yield from ((f".{key}", entry) for key, entry in getattr(value, "__dict__", {}).items())


def _comparable(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape), value.requires_grad
    return repr(value) if isinstance(value, float) else value  # NaN is to equal NaN


def _attributes(method: Method) -> dict[str, Any]:
    return {name: value for name, value in vars(method).items() if name not in _FIXED}
