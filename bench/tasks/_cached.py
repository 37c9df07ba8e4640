"""Results of a task's methods, kept as long as the task is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from bench.task import on_cpu

_T = TypeVar("_T")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def cached_method(method: Callable[Concatenate[_T, _P], _R]) -> Callable[Concatenate[_T, _P], _R]:
    """Decorate a method that reads data: the result for each tuple of arguments is made once, kept on the instance, and freed with it.

    `functools.cache` would keep the instance alive, with all data that it has read.
    """
    place, read = f"_results of {method.__qualname__}", on_cpu(method)

    @functools.wraps(method)
    def cached(self: _T, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        results: dict[Any, _R] = vars(self).setdefault(place, {})
        key = (args, tuple(sorted(kwargs.items())))
        if key not in results:
            results[key] = read(self, *args, **kwargs)
        return results[key]

    return cached
