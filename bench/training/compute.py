"""How training computes: precision, memory layout, compilation. Judging knows none of it: it is float32 always.

bf16 is torch's autocast around every network, with float32 weights: what leaves a network is float32 again, so that losses, and all
between networks, are float32. What is differentiated twice asks for `bench.precision.full_precision`.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.errors import UsageError
from bench.graphs.updates import GraphedUpdates
from bench.method import Method
from bench.precision import is_full_precision, tf32

Precision = Literal["fp32", "tf32", "bf16"]
_MEANS = {
    "fp32": "float32, TF32 off",
    "tf32": "TF32 in convolutions, else float32",
    "bf16": "bfloat16 inside networks; weights, losses and penalties float32, TF32 off",
}
_AMPERE = (8, 0)  # compute capability from which on there is TF32


@dataclasses.dataclass(frozen=True)
class Compute:
    """How the networks of a training compute. Whatever is added here must be in `facts`: it decides weights.

    Attributes:
        precision: None: tf32 on CUDA, as torch does by itself, fp32 elsewhere.
        channels_last: whether networks of pictures lay them out as N x H x W x C in memory.
        compile: whether torch.compile compiles networks.
        cuda_graphs: whether updates are recorded once and replayed where they can be, see `bench.graphs.updates`.
    """

    precision: Precision | None = None
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False

    def precision_on(self, device: torch.device) -> Precision:
        """The precision on a kind of device."""
        return self.precision or _default(device)

    def check(self, device: torch.device, ranks: int = 1) -> None:
        """Refuse what the device, or so many ranks, cannot do.

        Raises:
            UsageError: the message says what to give instead.
        """
        if self.precision == "tf32" and device.type != "cuda":
            raise UsageError(f"--precision tf32: {device.type} has no TF32, only NVIDIA GPUs have; give fp32 or bf16")
        if self.precision == "bf16" and not torch.amp.is_autocast_available(device.type):
            raise UsageError(f"--precision bf16: torch has no autocast on {device.type}; give fp32")
        if self.compile and device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
            raise UsageError("--compile: torch compiles for a CPU with g++, which is not here; install it or leave --compile out")
        if self.cuda_graphs and device.type != "cuda":
            raise UsageError(f"--cuda-graphs records what is launched on a CUDA GPU, and the device is {device.type}: leave it out")
        if self.cuda_graphs and self.compile:
            raise UsageError(
                "--cuda-graphs and --compile exclude each other: updates are watched operation by operation before one is recorded"
            )
        if ranks > 1 and (self.cuda_graphs or self.compile):
            option = "--cuda-graphs" if self.cuda_graphs else "--compile"
            raise UsageError(
                f"{option} and --ranks exclude each other: ranks exchange gradients in every update, and all must make it alike"
            )

    def facts(self, device: torch.device) -> dict[str, Any]:
        """What of this decides weights; what is as usual on the device counts not."""
        facts: dict[str, Any] = {}
        if self.precision_on(device) != _default(device):
            facts["precision"] = self.precision
        return facts | {name: True for name in ("channels_last", "compile", "cuda_graphs") if getattr(self, name)}

    def notes(self, device: torch.device) -> dict[str, str]:
        """Tags for the record: what is not float32 in plain order on the CPU."""
        precision, notes = self.precision_on(device), dict[str, str]()
        if precision != "fp32" or device.type == "cuda":
            missing = precision == "tf32" and torch.cuda.is_available() and torch.cuda.get_device_capability(device) < _AMPERE
            notes["precision"] = f"{precision} ({'this GPU has none: float32' if missing else _MEANS[precision]}); judged in float32"
        if self.channels_last:
            notes["channels_last"] = "trained with pictures as N x H x W x C in memory"
        if self.compile:
            notes["compile"] = "networks compiled by torch.compile, but for penalties; judged eagerly"
        return notes

    def apply(self, method: Method) -> Method:
        """The method with networks that compute so; their parameters, buffers and names in `state_dict` stay."""
        for network in method.networks().values():
            if self.channels_last and any(p.dim() == 4 for p in network.parameters()):
                network.to(memory_format=torch.channels_last)
                _wrap(network, _ChannelsLast)
            if self.precision == "bf16":
                for module in network.modules():  # a method may call a part of a network, such as its head
                    if type(module).forward is not nn.Module.forward:
                        _wrap(module, _Autocast)
            if self.compile:
                _wrap(network, _Compiled)
        return method

    def graphed(self, method: Method, stream: Iterator[Any]) -> GraphedUpdates | None:
        """The updates of a method that are replayed where they can be; None where that is not asked for, or nothing is trained."""
        return GraphedUpdates(method, stream) if self.cuda_graphs and hasattr(method.hp, "steps") else None

    @contextlib.contextmanager
    def running(self, device: torch.device) -> Iterator[None]:
        """TF32 of the process as the precision wants it, put back at the end; evaluations inside switch it off."""
        with tf32(self.precision_on(device) == "tf32"):
            yield


def why_eager(error: Exception) -> str:
    """Why torch cannot compile what raised this, in one line; empty where the error is another."""
    text = str(error).strip().splitlines()
    rooms = {".".join(kind.__module__.split(".")[:2]) for kind in type(error).__mro__}
    if "double backward" in str(error):
        return "a second derivative goes through compiled networks, which torch does not support"
    return f"{type(error).__name__}: {text[0] if text else ''}" if rooms & {"torch._dynamo", "torch._inductor"} else ""


def _default(device: torch.device) -> Precision:
    return "tf32" if device.type == "cuda" else "fp32"


class _Forward:
    """Stands for a module's `forward`, on the instance: names in `state_dict` stay, and so does the class."""

    def __init__(self, plain: Callable[..., Any]) -> None:
        self.plain = plain

    def __deepcopy__(self, memo: dict[int, Any]) -> _Forward:
        return type(self)(copy.deepcopy(self.plain, memo))  # which is bound to the copy of the module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.plain(*args, **kwargs)


class _Autocast(_Forward):
    """bfloat16 inside the outermost module that is called, float32 outside of it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        device = next((a.device.type for a in args if isinstance(a, Tensor)), "cpu")
        if is_full_precision() or torch.is_autocast_enabled(device):
            return self.plain(*args, **kwargs)
        with torch.autocast(device, torch.bfloat16):
            y = self.plain(*args, **kwargs)
        return _map(y, lambda t: t.float() if t.dtype == torch.bfloat16 else t)


class _ChannelsLast(_Forward):
    """Pictures come in as N x H x W x C in memory."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_full_precision():
            return self.plain(*args, **kwargs)
        return self.plain(*_map(args, lambda t: t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t), **kwargs)


class _Compiled(_Forward):
    """Compiled where the body of `full_precision` is not."""

    def __init__(self, plain: Callable[..., Any]) -> None:
        super().__init__(plain)
        self.compiled = torch.compile(plain)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (self.plain if is_full_precision() else self.compiled)(*args, **kwargs)


def _wrap(module: nn.Module, kind: type[_Forward]) -> None:
    module.forward = kind(module.forward)


def _map(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, or tuples, lists and dicts of them, with every tensor changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {k: _map(v, change) for k, v in tree.items()}
    return type(tree)(_map(v, change) for v in tree) if type(tree) in (tuple, list) else tree
