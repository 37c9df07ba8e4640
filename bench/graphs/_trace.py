"""What an update asks of the device, call by call, in a form in which two updates can be compared."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.graphs._place import place

_COPIES = {"copy_", "_to_copy", "_foreach_copy_"}
_METADATA = {"alias", "lift_fresh"}
_UNSEEN = {torch.ops.aten.detach.default}  # which autograd calls or not, as other modes are there or not


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of an operation: its name, its arguments (tensors by their memory, everything else by value), where it was made."""

    name: str
    arguments: tuple[Any, ...]
    place: str = dataclasses.field(compare=False)


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every call of an update, those of autograd among them.

    Memory is named by where it comes from: a batch, a call of this update, or neither (`kept`: weights, buffers, an optimizer's state),
    which is held alive, so that two updates name the same memory alike and other memory otherwise.

    Attributes:
        calls: in order.
        read: what of batches is read, as it was named.
        obstacle: the first thing that no graph can hold, with its place; empty where there is none.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device, self.obstacle = device, ""
        self.calls: list[Call] = []
        self.read: dict[tuple[Any, ...], None] = {}
        self._names: dict[int, tuple[Any, ...]] = {}  # address of a storage -> where its memory comes from
        self._kept: dict[int, torch.UntypedStorage] = {}
        self._paused = False

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Note nothing."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def name(self, x: Tensor, *name: Any) -> None:
        """Say where the memory of a tensor comes from."""
        self._names[x.untyped_storage()._cdata] = name

    def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Note a call and make it."""
        kwargs = kwargs or {}
        if self._paused or func.namespace == "profiler" or func in _UNSEEN:
            return func(*args, **kwargs)
        name, given = str(func).removeprefix("aten."), [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        number = len(self.calls)
        self.calls.append(Call(name, (*map(self._key, args), *((k, self._key(v)) for k, v in kwargs.items())), place()))
        made = func(*args, **kwargs)
        given_memory = {x.untyped_storage()._cdata for x in given}
        results = [x for x in tree_leaves(made) if isinstance(x, Tensor)]
        for i, x in enumerate(results):
            if x.untyped_storage()._cdata not in given_memory:
                self.name(x, "made", number, i)
        if not self.obstacle and (obstacle := self._obstacle(func, given, results, tree_leaves((args, kwargs)))):
            self.obstacle = obstacle + _aside(name, place())
        return made

    def keeps(self, address: int) -> bool:
        """Whether the update reads or writes a storage that was there before."""
        return address in self._kept

    def difference(self, other: Trace) -> str:
        """What differs in a later update, in a line; empty where nothing does."""
        for mine, theirs in zip(self.calls, other.calls):
            if mine.name != theirs.name:
                return f"one update calls {mine.name} where another calls {theirs.name}{_aside(theirs.place)}"
            if mine.arguments != theirs.arguments:
                return _difference(mine, theirs) + _aside(theirs.place)
        if len(self.calls) != len(other.calls):
            return f"one update makes {len(self.calls)} calls, another {len(other.calls)}"
        return ""

    def _key(self, argument: Any) -> Any:
        """An argument in comparable form."""
        if isinstance(argument, Tensor):
            if argument.dim() == 0 and not lies_on(argument, self.device):
                return "number", argument.dtype, repr(argument.item())
            memory = argument.untyped_storage()
            if (address := memory._cdata) not in self._names:
                self._kept[address] = memory
            name = self._names.get(address, ("kept", address))
            if name[0] == "batch":
                self.read[name[1:]] = None
            return (
                "tensor", *name, argument.dtype, tuple(argument.shape), argument.stride(),
                argument.storage_offset(),
            )  # fmt: skip
        if isinstance(argument, (list, tuple)):
            return tuple(map(self._key, argument))
        return repr(argument) if isinstance(argument, float) else argument  # NaN is to equal NaN

    def _obstacle(self, func: Any, given: list[Tensor], results: list[Tensor], arguments: list[Any]) -> str:
        """Why a call cannot be a part of a graph; empty where it can."""
        name = func._schema.name.partition("::")[2]
        masked = any(x.dtype in (torch.bool, torch.uint8) for x in given[1:])
        if torch.Tag.data_dependent_output in func.tags:
            return "reads a number back from a tensor"
        if torch.Tag.dynamic_output_shape in func.tags and (masked or name not in ("index", "_unsafe_index")):
            return "makes something whose size depends on values"
        if name in ("index_put", "index_put_", "_index_put_impl_") and any(x.dtype in (torch.bool, torch.uint8) for x in given[1:-1]):
            return "makes something whose size depends on values"
        if any(isinstance(x, torch.Generator) for x in arguments):
            return "draws from a generator of its own"
        there = [lies_on(x, self.device) for x in results]
        crosses = name in _COPIES and len({*there, *(lies_on(x, self.device) for x in given)}) > 1
        if crosses or (name == "lift_fresh" and all(there)):
            return "copies between host and device"
        if name not in _METADATA and not all(there):
            return "computes on the host"
        return ""


def _aside(*words: str) -> str:
    """Words in brackets; backward passes on a GPU run in a thread that has no place in the code."""
    known = ", ".join(filter(None, words))
    return f" ({known})" if known else ""


def lies_on(x: Tensor, device: torch.device) -> bool:
    """Whether a tensor is on a kind of device."""
    return x.device.type == device.type


def _difference(mine: Call, theirs: Call) -> str:
    """What differs in two calls of one operation."""
    a, b = next((a, b) for a, b in zip(_leaves(mine.arguments), _leaves(theirs.arguments), strict=False) if a != b)
    if isinstance(a, tuple) and a[:1] == ("tensor",) and isinstance(b, tuple):
        return f"{mine.name} reads other memory in each update: what changes must be changed in place"
    return f"{mine.name} is called with {_readable(a)} in one update and with {_readable(b)} in another"


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, tuple) and tree[:1] not in (("tensor",), ("number",)):
        for leaf in tree:
            yield from _leaves(leaf)
    else:
        yield tree


def _readable(leaf: Any) -> Any:
    return leaf[-1] if isinstance(leaf, tuple) and leaf[:1] == ("number",) else leaf
