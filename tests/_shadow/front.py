"""The Python interface of tensors: what asks for a device is answered, and what makes or moves tensors is told of the shadow's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from _shadow.generators import ShadowGenerator
from _shadow.marks import device_of, index_of, put_on_device, tensors_in, wanted

if TYPE_CHECKING:
    from _shadow.device import Device

_ANSWERS = {
    torch.Tensor.device.__get__: device_of,
    torch.Tensor.is_cuda.__get__: lambda x: index_of(x) is not None,
    torch.Tensor.is_cpu.__get__: lambda x: index_of(x) is None,
    torch.Tensor.get_device: lambda x: -1 if (i := index_of(x)) is None else i,
    torch.Tensor.is_pinned: lambda x, device=None: getattr(x, "_shadow_pinned", False),
}
_MOVES = {torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda, torch.Tensor.type_as}
_FROM_HOST = {
    torch.tensor,
    torch.as_tensor,
    torch.asarray,
    torch.Tensor.new_tensor,
    torch.scalar_tensor,
    torch.frombuffer,
    torch.from_numpy,
}
_WRONG_GENERATOR = "Expected a '{}' device type for generator but found '{}'"


class Front(TorchFunctionMode):
    """What Python code sees of the device."""

    def __init__(self, gpu: Device) -> None:
        super().__init__()
        self.gpu = gpu
        self._special = {
            torch.Tensor.numpy: self._to_numpy,
            torch.Tensor.__array__: self._to_numpy,
            torch.Tensor.tolist: self._to_list,
            torch.Tensor.pin_memory: self._pin,
            torch.Tensor.__deepcopy__: self._deepcopy,
            torch.nn.functional.one_hot: self._one_hot,
            torch.Tensor.record_stream: lambda func, args, kwargs: None,
            **dict.fromkeys(_MOVES, self._move),
            **dict.fromkeys(_FROM_HOST, self._from_host),
        }

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _ANSWERS:
            return _ANSWERS[func](*args, **kwargs)
        if func in self._special:
            return self._special[func](func, args, kwargs)
        return self._make(func, args, kwargs)

    def _make(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Whatever may make tensors: on the device that it names, else on that of its arguments, else on the default one."""
        kwargs, named, device = self._without_device(kwargs)
        given = tensors_in((args, kwargs)) if args or kwargs else []
        inherited = next((i for i in map(index_of, given) if i is not None), None)
        making = device if named else (inherited if given else self.gpu.making)
        self._check_generator(kwargs.get("generator"), making, named or bool(given))
        before = self.gpu.making, self.gpu.target
        self.gpu.making = making
        if named:
            self.gpu.target = (device,)
        try:
            out = func(*args, **kwargs)
        finally:
            self.gpu.making, self.gpu.target = before
        if named and device is not None and isinstance(out, Tensor):
            put_on_device(out, device)
        return out

    def _without_device(self, kwargs: Any) -> tuple[Any, bool, int | None]:
        """The arguments with the CPU in the place of the device, whether one was named, and which."""
        if kwargs.get("device") is None:
            return kwargs, False, None
        index = wanted(kwargs["device"])
        self.gpu.check_ordinal(index)
        return (kwargs if index is None else {**kwargs, "device": "cpu"}), True, index

    def _check_generator(self, generator: Any, making: int | None, known: bool) -> None:
        """As torch: numbers are drawn by a generator of the device that they are made on."""
        if generator is None:
            return
        of_gpu = isinstance(generator, ShadowGenerator)
        if known and of_gpu != (making is not None):
            kinds = ("cpu", "cuda") if of_gpu else ("cuda", "cpu")
            raise self.gpu.refuse(RuntimeError(_WRONG_GENERATOR.format(*kinds)))
        if not known and of_gpu != (self.gpu.making is not None):
            kinds = ("cpu", "cuda") if of_gpu else ("cuda", "cpu")
            raise self.gpu.refuse(RuntimeError(_WRONG_GENERATOR.format(*kinds)))

    def _from_host(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Numbers of Python and numpy, which lie on the host until they are copied."""
        kwargs, named, device = self._without_device(kwargs)
        source = args[1] if func is torch.Tensor.new_tensor else (args[0] if args else kwargs.get("data"))
        at = index_of(source) if isinstance(source, Tensor) else None
        if not named:
            inherits = func is torch.as_tensor and at is not None
            device = at if inherits else (index_of(args[0]) if func is torch.Tensor.new_tensor else self.gpu.making)
        if func in (torch.from_numpy, torch.frombuffer):
            device = None
        with self.gpu.quiet():
            out = func(*args, **kwargs)
        if device is not None:
            put_on_device(out, device)
        if (device is None) != (at is None):
            self.gpu.note("d2h wait" if device is None else "h2d wait", func.__name__, out.nbytes)
        elif device is not None and out is not source:
            self.gpu.note("op", func.__name__)
        return out

    def _move(self, func: Any, args: Any, kwargs: Any) -> Any:
        """`.to`, `.cpu`, `.cuda`, `.type_as`: where to, and what that costs."""
        x, at = args[0], index_of(args[0])
        to, rest, kwargs = self._destination(func, x, list(args[1:]), dict(kwargs))
        if to == at:
            return torch.Tensor.to(x, *rest, **kwargs) if rest or kwargs else x
        self.gpu.check_ordinal(to)
        before = self.gpu.target, self.gpu.non_blocking
        self.gpu.target, self.gpu.non_blocking = (to,), bool(kwargs.get("non_blocking", False))
        kwargs.pop("copy", None)
        try:
            if not rest and "device" not in kwargs:
                rest = ["cpu"]
            return torch.Tensor.to(x, *rest, copy=True, **kwargs)
        finally:
            self.gpu.target, self.gpu.non_blocking = before

    def _destination(self, func: Any, x: Tensor, rest: list[Any], kwargs: dict[str, Any]) -> tuple[int | None, list[Any], dict[str, Any]]:
        """The device, and arguments for `Tensor.to` in which it is the CPU."""
        if func is torch.Tensor.cpu:
            return None, [], {k: v for k, v in kwargs.items() if k == "memory_format"}
        if func is torch.Tensor.cuda:
            device = kwargs.pop("device", None) if "device" in kwargs else (rest[0] if rest else None)
            return (self.gpu.current if device is None else wanted(device)), [], kwargs
        if func is torch.Tensor.type_as:
            return index_of(rest[0]), [rest[0].dtype], {}
        if kwargs.get("device") is not None:
            to, kwargs["device"] = wanted(kwargs["device"]), "cpu"
            return to, rest, kwargs
        if "other" in kwargs or (rest and isinstance(rest[0], Tensor)):
            return index_of(kwargs["other"] if "other" in kwargs else rest[0]), rest, kwargs
        if rest and isinstance(rest[0], str | torch.device | int):
            return wanted(rest[0]), ["cpu", *rest[1:]], kwargs
        return index_of(x), rest, kwargs

    def _to_numpy(self, func: Any, args: Any, kwargs: Any) -> Any:
        if index_of(args[0]) is not None and not kwargs.get("force"):
            message = "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
            raise self.gpu.refuse(TypeError(message))
        return func(*args, **kwargs)

    def _to_list(self, func: Any, args: Any, kwargs: Any) -> Any:
        if index_of(args[0]) is not None:
            self.gpu.note("d2h wait", "tolist", args[0].nbytes)
        with self.gpu.quiet():
            return func(*args, **kwargs)

    def _pin(self, func: Any, args: Any, kwargs: Any) -> Any:
        if index_of(args[0]) is not None:
            raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
        pinned = args[0].clone()
        pinned._shadow_pinned = True
        return pinned

    def _deepcopy(self, func: Any, args: Any, kwargs: Any) -> Any:
        x = args[0]
        with self.gpu.quiet():
            out = func(*args, **kwargs)
        if (at := index_of(x)) is not None:
            put_on_device(out, at)
            if out.grad is not None:
                put_on_device(out.grad, at)
            self.gpu.note("op", "deepcopy")
        return out

    def _one_hot(self, func: Any, args: Any, kwargs: Any) -> Any:
        """On the CPU alone it looks at the labels where it is told how many classes there are."""
        told = len(args) + ("num_classes" in kwargs) > 1
        if not told or index_of(args[0]) is None:
            return self._make(func, args, kwargs)
        with self.gpu.quiet():
            out = self._make(func, args, kwargs)
        self.gpu.note("op", "scatter_")
        return out
