"""A number that remembers what code asks of it: so it is known at which other numbers the code would go the same way."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.graphs._place import place

Number = int | float
_WITH_TENSORS = {
    "add", "sub", "mul", "div", "true_divide", "__radd__", "__rsub__", "rsub", "__rmul__", "__rdiv__", "__rtruediv__",
    "add_", "sub_", "mul_", "div_", "__iadd__", "__isub__", "__imul__", "__idiv__", "__itruediv__",
}  # fmt: skip


class Inputs:
    """Numbers that follow from the update's and are multiplied with tensors or added to them: each lies in memory of its own.

    They are taken in the same order in every update of one program.
    """

    def __init__(self) -> None:
        self.slots: list[tuple[Tensor, Callable[[int], Number]]] = []
        self._taken = 0
        self._quietly: Callable[[], contextlib.AbstractContextManager[None]] | None = None

    def begin(self, quietly: Callable[[], contextlib.AbstractContextManager[None]] | None) -> None:
        """Start an update: one that is watched writes its numbers, `quietly`; one that is recorded does not (None)."""
        self._taken, self._quietly = 0, quietly

    def take(self, like: Tensor, value: Number, of: Callable[[int], Number]) -> Tensor:
        """The next number as a tensor without dimensions, of the kind and on the device of `like`."""
        nth, self._taken = self._taken, self._taken + 1
        if self._quietly is not None:
            with self._quietly():
                known = self.slots[nth][0] if nth < len(self.slots) else None
                if known is None or (known.dtype, known.device) != (like.dtype, like.device):
                    known = torch.empty((), dtype=like.dtype, device=like.device)
                self.slots[nth:] = [(known.fill_(value), of), *self.slots[nth + 1 :]]
        return self.slots[nth][0]

    def fill(self, t: int) -> None:
        """The numbers of update `t`."""
        for slot, of in self.slots:
            slot.fill_(of(t))


@dataclasses.dataclass
class Path:
    """What an update asked of its number and was told.

    Attributes:
        inputs: what it computed from the number for tensors.
        questions: each with its answer; of the number of an update -> of the answer.
        used: where in the code the number itself became a part of what is computed in another way; empty where it did nowhere.
    """

    inputs: Inputs = dataclasses.field(default_factory=Inputs)
    questions: list[tuple[Callable[[int], Any], Any]] = dataclasses.field(default_factory=list)
    used: str = ""

    def holds(self, t: int) -> bool:
        """Whether update `t` would be told the same."""
        try:
            return all(ask(t) == answer for ask, answer in self.questions)
        except ArithmeticError:
            return False


class Watched:
    """The number of an update, or what was computed from it.

    Comparisons answer as the number would, and are noted. Whatever else looks at the value (`float`, an index, an operation on tensors)
    is noted as its use.
    """

    __slots__ = ("_of", "_path", "value")

    def __init__(self, value: Number, path: Path, of: Callable[[int], Number] = lambda t: t) -> None:
        self.value, self._path, self._of = value, path, of

    @classmethod
    def __torch_function__(cls, function: Any, kinds: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Arithmetic with a tensor takes the value from memory, any other operation on tensors takes the value itself."""
        tensor = next((x for x in args if isinstance(x, Tensor)), None)
        if tensor is not None and tensor.is_floating_point() and not kwargs and function.__name__ in _WITH_TENSORS:
            return function(*(x._path.inputs.take(tensor, x.value, x._of) if isinstance(x, Watched) else x for x in args))
        return function(*map(use_all, args), **{key: use_all(value) for key, value in (kwargs or {}).items()})

    def use(self) -> Number:
        """The value, for good."""
        self._path.used = self._path.used or place()
        return self.value

    def answer(self, ask: Callable[..., Any], *others: Any) -> Any:
        """What a question about the value is told, noted."""
        values, of = [other.value if isinstance(other, Watched) else other for other in others], _functions(self, others)
        told = ask(self.value, *values)
        self._path.questions.append((lambda t: ask(*(f(t) for f in of)), told))
        return told

    def derive(self, compute: Callable[..., Any], *others: Any) -> Any:
        """What is computed from the value, watched too."""
        if any(isinstance(other, Tensor) or not isinstance(other, (int, float, Watched)) for other in others):
            return NotImplemented
        of = _functions(self, others)
        values = [other.value if isinstance(other, Watched) else other for other in others]
        return Watched(compute(self.value, *values), self._path, lambda t: compute(*(f(t) for f in of)))

    def __hash__(self) -> int:
        return hash(self.use())

    def __bool__(self) -> bool:
        return bool(self.answer(bool))

    def __str__(self) -> str:
        return str(self.use())

    def __format__(self, spec: str) -> str:
        return format(self.use(), spec)

    def __int__(self) -> int:
        return int(self.use())

    def __index__(self) -> int:
        return operator.index(self.use())  # type: ignore[arg-type]

    def __float__(self) -> float:
        return float(self.use())

    def __round__(self, digits: int | None = None) -> Any:
        return self.derive(lambda value: round(value, digits))


def use_all(tree: Any) -> Any:
    """Lists, tuples and dicts with the values of what is watched in them; the tree itself where nothing is."""
    if isinstance(tree, Watched):
        return tree.use()
    if type(tree) in (list, tuple):
        new: Any = type(tree)(map(use_all, tree))
    elif type(tree) is dict:
        new = {key: use_all(value) for key, value in tree.items()}
    else:
        return tree
    entries = zip(new, tree, strict=True) if type(tree) is not dict else zip(new.values(), tree.values(), strict=True)
    return new if any(a is not b for a, b in entries) else tree


def _functions(first: Watched, others: tuple[Any, ...]) -> list[Callable[[int], Any]]:
    """Of the number of an update -> of each operand."""
    return [x._of if isinstance(x, Watched) else functools.partial(_constant, x) for x in (first, *others)]


def _constant(x: Any, t: int) -> Any:
    return x


def _question(ask: Callable[[Any, Any], Any]) -> Callable[[Watched, Any], Any]:
    return lambda self, other: self.answer(ask, other)


def _operation(compute: Callable[..., Any]) -> Callable[..., Any]:
    def operation(self: Watched, *others: Any) -> Any:
        return self.derive(compute, *others)

    return operation


def _reflected(compute: Callable[[Any, Any], Any]) -> Callable[[Watched, Any], Any]:
    def swapped(a: Any, b: Any) -> Any:
        return compute(b, a)

    return lambda self, other: self.derive(swapped, other)


for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Watched, f"__{_name}__", _question(getattr(operator, _name)))
for _name in ("neg", "pos", "abs", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Watched, f"__{_name}__", _operation(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Watched, f"__r{_name}__", _reflected(getattr(operator, _name)))
