"""A CUDA graph without CUDA: the calls of an update, made again on the same memory with the same numbers."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from methods.optimizers import _torch


class CallRecorder:
    """Records on any device that runs eagerly; see `bench.graphs._cuda_graph.Recorder`.

    Attributes:
        recorded: how many updates were recorded.
        made_again: calls that were replayed.
    """

    def __init__(self) -> None:
        self.recorded = self.made_again = 0

    def running(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def record(self, update: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        """Recording does nothing: memory that was there before is put back, and what the update made is unreadable until it is replayed."""
        self.recorded += 1
        calls, chance = _Calls(), torch.get_rng_state()
        chance_there = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        try:
            with calls:
                result = update()
        finally:
            calls.undo()
            torch.set_rng_state(chance)
            if chance_there is not None:
                torch.cuda.set_rng_state(chance_there)
        return result, lambda: self._replay(calls)

    def _replay(self, calls: _Calls) -> None:
        self.made_again += len(calls.made)
        calls.make_again()


class _Calls(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []
        self.fresh: dict[int, Tensor] = {}  # memory of this update
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}  # other memory, and what was in it

    def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "profiler":
            return func(*args, **kwargs)
        for x in _tensors((args, kwargs)):
            memory = x.untyped_storage()
            if memory._cdata not in self.fresh and memory._cdata not in self.before:
                self.before[memory._cdata] = memory, memory.clone()
        given = {x.untyped_storage()._cdata for x in _tensors((args, kwargs))}
        results = func(*args, **kwargs)
        news = [x for x in _tensors(results) if x.untyped_storage()._cdata not in given]
        self.fresh |= {x.untyped_storage()._cdata: _alias(x) for x in news}
        if news or func._schema.is_mutable or "norm" in func._schema.name:  # the others are views; norms write to running means
            self.made.append((func, *tree_map_only(Tensor, _alias, (args, kwargs, _tensors(results)))))
        return results

    def undo(self) -> None:
        for memory, content in self.before.values():
            memory.copy_(content)
        for x in self.fresh.values():
            if x.is_floating_point():
                x.fill_(float("nan"))

    @torch.no_grad()
    def make_again(self) -> None:
        for func, args, kwargs, results in self.made:
            for old, new in zip(results, _tensors(func(*args, **kwargs)), strict=True):
                if old.untyped_storage()._cdata != new.untyped_storage()._cdata:
                    old.copy_(new)


def _alias(x: Tensor) -> Tensor:
    """The same memory: autograd copies a gradient whose tensor somebody else holds."""
    return x.detach()


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


@contextlib.contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Torch decides as it does on a GPU: its optimizers can be captured or are not fused, and one-hot codes are not looked at."""
    with pytest.MonkeyPatch.context() as patch, _NotOnTheHost():
        for rule in ("adadelta", "adam", "nadam", "radam", "rmsprop"):
            patch.setattr(importlib.import_module(f"torch.optim.{rule}"), "_get_capturable_supported_devices", lambda **_: ["cpu"])
        patch.setitem(_torch._FUSED, torch.optim.Adagrad, set())
        patch.setattr("torch.nn.functional.one_hot", _one_hot)
        yield


class _NotOnTheHost(TorchFunctionMode):
    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        return False if func == torch.Tensor.is_cpu.__get__ else func(*args, **(kwargs or {}))


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    return torch.zeros(*labels.shape, classes, dtype=labels.dtype).scatter_(-1, labels.unsqueeze(-1), 1)
