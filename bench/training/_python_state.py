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
    """Path -> number, text, length or kind of everything on `method`; of tensors dtype and shape alone. Random numbers of Python and NumPy too."""
    found: dict[str, Any] = dict(_walk("self", {k: v for k, v in vars(method).items() if k not in _FIXED}, set()))
    numpy = np.random.get_state()
    return found | {"Python's random numbers": hash(random.getstate()), "NumPy's random numbers": hash((numpy[1].tobytes(), numpy[2]))}  # type: ignore[union-attr]


def difference(before: State, after: State) -> str:
    """The first thing that differs, in words; empty where nothing does."""
    for path, value in after.items():
        if path not in before:
            return f"{path} is new"
        if before[path] != value:
            return f"{path} changes"
    return next((f"{path} is gone" for path in before if path not in after), "")


def _walk(path: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Tensor):
        yield path, (value.dtype, tuple(value.shape), value.requires_grad)
    elif isinstance(value, _PLAIN):
        yield path, repr(value) if isinstance(value, float) else value  # NaN is to equal NaN
    elif id(value) not in seen and not (callable(value) and not isinstance(value, nn.Module)):
        seen.add(id(value))
        yield from _walk_container(path, value, seen)


def _walk_container(path: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield path, len(value)
        for i, (key, entry) in enumerate(value.items()):
            name = key if isinstance(key, str) else f"{type(key).__name__} {i if isinstance(key, Tensor) else key!r}"
            yield from _walk(f"{path}.{name}", entry, seen)
    elif isinstance(value, (list, tuple, deque)):
        yield path, len(value)
        for i, entry in enumerate(value):
            yield from _walk(f"{path}[{i}]", entry, seen)
    elif isinstance(value, (set, frozenset)):
        yield path, sorted(map(repr, value))
    else:
        yield path, type(value)
        yield from _walk_container(path, dict(getattr(value, "__dict__", {})), seen)
