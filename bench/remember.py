"""What was made of a tensor, kept as long as the tensor lives: real samples are compared with again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_T = TypeVar("_T")
_made: Any = WeakTensorKeyDictionary()  # tensor -> {(key, version): what was made}


def remember(x: Tensor, key: Hashable, make: Callable[[], _T]) -> _T:
    """What `make` returns, made once for each key as long as `x` lives and is not changed in place.

    Args:
        x: what it is made of.
        key: what else decides it.
        make: must not hold on to `x`, and what it returns neither.
    """
    known, key = _made.setdefault(x, {}), (key, _version(x))
    if key not in known:
        known[key] = make()
    return known[key]  # type: ignore[no-any-return]


def made_of(x: Tensor) -> Mapping[Hashable, Any]:
    """All that is remembered of a tensor as it is now: key -> what was made."""
    return {key: value for (key, version), value in _made.get(x, {}).items() if version == _version(x)}


def _version(x: Tensor) -> int:
    """Counts changes in place."""
    return 0 if x.is_inference() else x._version
