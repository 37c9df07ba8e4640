"""What needs a driver, replaced: torch.cuda, torch.accelerator, generators, and safetensors' reading onto a device."""

from __future__ import annotations

import contextlib
import functools
import time
import types
from typing import TYPE_CHECKING, Any

import torch
import torch.cuda.random
from torch import Tensor
from torch.nn.utils import clip_grad
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype

from _shadow import generators
from _shadow.marks import index_of

if TYPE_CHECKING:
    from _shadow.device import Device


class Event:
    """A point in the stream, which is reached at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.at = 0.0

    def record(self, *stream: Any) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        return

    def wait(self, *stream: Any) -> None:
        return

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: Event) -> float:
        return 1e3 * (other.at - self.at)


class Stream:
    """A queue that is always empty."""

    cuda_stream = 0

    def __init__(self, gpu: Device) -> None:
        self.gpu = gpu
        self.device = torch.device("cuda", gpu.current)

    def synchronize(self) -> None:
        self.gpu.note("wait", "stream")

    def wait_stream(self, other: Any) -> None:
        return

    def wait_event(self, event: Any) -> None:
        return

    def record_event(self, event: Event | None = None) -> Event:
        return event or Event()

    def is_capturing(self) -> bool:
        return False


def install(gpu: Device, stack: contextlib.ExitStack) -> None:
    """Put it all in place until the stack is closed."""
    _install_random(gpu, stack)
    _install_cuda(gpu, stack)
    _install_safetensors(gpu, stack)
    _swap(stack, torch, "Generator", generators.Generator)
    _swap(stack, clip_grad, "_group_tensors_by_device_and_dtype", _grouped)


def _grouped(lists: list[list[Tensor]], *args: Any) -> dict[tuple[torch.device, torch.dtype], Any]:
    """As torch's, which looks below Python and finds everything on the CPU; of tensors on one device, as those that are clipped here."""
    groups = _group_tensors_by_device_and_dtype(lists, *args)
    return {(lists[0][0].device, dtype): group for (_, dtype), group in groups.items()}


def _ordinal(gpu: Device, device: Any) -> int:
    if device is None:
        return gpu.current
    if isinstance(device, int):
        return device
    found = torch.device(device).index
    return gpu.current if found is None else found


def _install_random(gpu: Device, stack: contextlib.ExitStack) -> None:
    def get(device: Any = None) -> Tensor:  # the state of CUDA's generator (seed, offset) lies on the host: no wait
        gpu.check_ordinal(i := _ordinal(gpu, device))
        gpu.opened.add(i)
        return gpu.rng[i].clone()

    def put(state: Tensor, device: Any = None) -> None:
        if index_of(state) is not None:
            raise TypeError("RNG state must be a torch.ByteTensor")
        gpu.opened.add(i := _ordinal(gpu, device))
        gpu.rng[i] = state.clone()

    def reseed(index: int, value: int) -> None:
        with gpu.quiet(), torch._C.DisableTorchFunction():
            gpu.rng[index] = generators.REAL().manual_seed(int(value) + index).get_state()

    def seed_all(value: int) -> None:
        for i in gpu.rng:
            reseed(i, value)

    defaults = tuple(types.SimpleNamespace(manual_seed=functools.partial(reseed, i)) for i in gpu.rng)
    fakes = {
        "manual_seed": lambda value: reseed(gpu.current, value),
        "manual_seed_all": seed_all,
        "get_rng_state": get,
        "set_rng_state": put,
        "get_rng_state_all": lambda: [get(i) for i in gpu.rng],
        "set_rng_state_all": lambda states: [put(s, i) for i, s in enumerate(states)],
    }
    _swap(stack, torch.cuda, "default_generators", defaults)
    for name, fake in fakes.items():
        for owner in (torch.cuda, torch.cuda.random):
            _swap(stack, owner, name, fake)


def _install_cuda(gpu: Device, stack: contextlib.ExitStack) -> None:
    def properties(device: Any = None) -> Any:
        gpu.check_ordinal(_ordinal(gpu, device))
        return types.SimpleNamespace(name="shadow", total_memory=gpu.memory, major=9, minor=0, multi_processor_count=132)

    def set_device(device: Any) -> None:
        gpu.check_ordinal(i := _ordinal(gpu, device))
        gpu.current = i

    def synchronize(device: Any = None) -> None:
        gpu.note("wait", "synchronize")

    nothing = lambda *args, **kwargs: None  # noqa: E731
    common = {
        "is_available": lambda: True,
        "device_count": lambda: gpu.count,
        "synchronize": synchronize,
        "current_stream": lambda device=None: Stream(gpu),
    }
    cuda = {
        "current_device": lambda: gpu.current,
        "is_initialized": lambda: True,
        "init": nothing,
        "_lazy_init": nothing,
        "_lazy_call": nothing,
        "set_device": set_device,
        "empty_cache": nothing,
        "get_device_name": lambda device=None: "shadow",
        "get_device_properties": properties,
        "memory_allocated": lambda device=None: 1 << 20,
        "max_memory_allocated": lambda device=None: 1 << 20,
        "max_memory_reserved": lambda device=None: 2 << 20,
        "reset_peak_memory_stats": nothing,
        "mem_get_info": lambda device=None: (gpu.memory,) * 2,
        "Event": Event,
        "Stream": lambda *args, **kwargs: Stream(gpu),
        "stream": lambda stream: contextlib.nullcontext(),
        "default_stream": lambda device=None: Stream(gpu),
        "_is_in_bad_fork": lambda: False,
        "get_device_capability": lambda device=None: (9, 0),
        "is_current_stream_capturing": lambda: False,
        "is_bf16_supported": lambda *args: True,
    }
    accelerator = {"current_device_index": lambda: gpu.current, "current_accelerator": lambda check_available=False: torch.device("cuda")}
    for owner, fakes in ((torch.cuda, common | cuda), (torch.accelerator, common | accelerator)):
        for name, fake in fakes.items():
            _swap(stack, owner, name, fake)


def _install_safetensors(gpu: Device, stack: contextlib.ExitStack) -> None:
    """Its code in Rust asks torch for a device by name, which the modes would see too late: read to the CPU, then copied."""
    import safetensors
    import safetensors.torch

    real_open, real_save = safetensors.safe_open, safetensors.torch.save_file

    class SafeOpen:
        def __init__(self, path: Any, framework: Any, device: Any = "cpu", **options: Any) -> None:
            self.to = device
            with gpu.quiet():
                self.file = real_open(path, framework, device="cpu", **options)

        def __enter__(self) -> SafeOpen:
            self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> Any:
            return self.file.__exit__(*error)

        def get_tensor(self, key: str) -> Tensor:
            return self.file.get_tensor(key).to(self.to)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    def save_file(tensors: dict[str, Tensor], *args: Any, **kwargs: Any) -> Any:
        for key, x in tensors.items():
            if index_of(x) is not None:
                gpu.note("d2h wait", f"save_file {key}", x.nbytes)
        with torch._C.DisableTorchFunction(), gpu.quiet():
            return real_save(tensors, *args, **kwargs)

    for owner in (safetensors, safetensors.torch):
        _swap(stack, owner, "safe_open", SafeOpen)
    _swap(stack, safetensors.torch, "save_file", save_file)


def _swap(stack: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    """Put a value in the place of an attribute until the stack is closed."""
    absent = object()
    before = getattr(owner, name, absent)
    setattr(owner, name, value)
    stack.callback(lambda: delattr(owner, name) if before is absent else setattr(owner, name, before))
