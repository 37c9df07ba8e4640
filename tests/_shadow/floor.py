"""Every ATen operation: results are marked, devices not mixed, random numbers drawn from the device's own stream; all of it is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from _shadow.marks import devices_of, put_on_device, tensors_in
from _shadow.operations import COPIES, INDEXING, NEED_ONE_DEVICE, NO_LAUNCH, NONDETERMINISTIC, WAITS

if TYPE_CHECKING:
    from _shadow.device import Device

Places = list[int | None]
_COMPOSITE = "CompositeImplicitAutograd"


class Floor(TorchDispatchMode):
    """What a GPU makes of an operation."""

    def __init__(self, gpu: Device) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunction():
            return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        if torch.is_inference_mode_enabled() and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:  # in inference mode composite operations come whole
                return func.decompose(*args, **kwargs)
        name = func._schema.name.split("::")[-1]
        given = tensors_in((args, kwargs))
        on = devices_of(given)
        if given and name in COPIES:
            return self._copy(name, func, args, kwargs, given, on)
        device = next((i for i in on if i is not None), None) if given else self.gpu.making
        if device is None:
            return func(*args, **kwargs)
        self._fail_as_told(name, given)
        self._refuse_to_mix(name, func, given, on, device)
        out = self._call(func, args, kwargs, device)
        made = tensors_in(out)
        for x in made:
            put_on_device(x, device)
        self._count(name, func, given, made)
        return out

    def _call(self, func: Any, args: Any, kwargs: Any, device: int) -> Any:
        """The operation; where it draws from the default generator, from that of the device."""
        seeded = torch.Tag.nondeterministic_seeded in func.tags
        if not seeded or any(isinstance(x, torch._C.Generator) for x in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        host = torch.default_generator.get_state()
        torch.default_generator.set_state(self.gpu.rng[device])
        try:
            return func(*args, **kwargs)
        finally:
            self.gpu.rng[device] = torch.default_generator.get_state()
            torch.default_generator.set_state(host)

    def _fail_as_told(self, name: str, given: list[Tensor]) -> None:
        if self.gpu.pending_error is not None:
            raise self.gpu.pending_error
        if self.gpu.out_of_memory(name, given):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (shadow).")

    def _refuse_to_mix(self, name: str, func: Any, given: list[Tensor], on: Places, device: int) -> None:
        """As CUDA: numbers of the CPU mix with anything but are not written to, and indices of the CPU index what is on the device."""
        if all(i == device for i in on):
            return
        if name in INDEXING:
            return self._check_indices(name, given, on)
        away = [(x, i) for x, i in zip(given, on, strict=True) if i != device]
        bad = [x for x, i in away if i is not None or x.dim() > 0 or name in NEED_ONE_DEVICE]
        if name.startswith("_foreach"):  # step counters that stay on the CPU are a list of their own
            bad = [x for x in bad if x.dim() > 0]
        elif func._schema.is_mutable and on[0] is None:
            bad.append(given[0])
        if bad:
            message = f"Expected all tensors to be on the same device, but found at least two devices, cuda:{device} and cpu!"
            raise self.gpu.refuse(RuntimeError(f"{message} [{name}, {tuple(bad[0].shape)}]"))

    def _check_indices(self, name: str, given: list[Tensor], on: Places) -> None:
        if on[0] is None:
            message = "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            raise self.gpu.refuse(RuntimeError(message))
        values = len(given) - 1 if "put" in name else len(given)
        if "put" in name and on[values] is None and given[values].dim() > 0:
            raise self.gpu.refuse(RuntimeError("Expected all tensors to be on the same device, but got values is on cpu"))
        for x, i in zip(given[1:values], on[1:values], strict=True):
            if i is None and x.dim() > 0:
                self.gpu.note("h2d wait", f"{name} by an index on the CPU", x.nbytes)

    def _copy(self, name: str, func: Any, args: Any, kwargs: Any, given: list[Tensor], on: Places) -> Any:
        out = func(*args, **kwargs)
        if name == "_foreach_copy_":
            half = len(given) // 2
            for source, a, b in zip(given[half:], on[half:], on[:half], strict=True):
                self._transfer(name, source, a, b)
        elif name == "_to_copy":
            (to,) = self.gpu.target or (on[0],)
            if to is not None:
                put_on_device(out, to)
            self._transfer(name, given[0], on[0], to)
        else:
            self._transfer(name, given[1], on[1], on[0])
        return out

    def _transfer(self, name: str, source: Tensor, a: int | None, b: int | None) -> None:
        if a is not None and b is not None:
            self.gpu.note("op", name)
        elif b is not None:
            free = self.gpu.non_blocking and getattr(source, "_shadow_pinned", False)
            self.gpu.note("h2d" if free else "h2d wait", name, source.nbytes)
        elif a is not None:
            self.gpu.note("d2h wait", name, source.nbytes)

    def _count(self, name: str, func: Any, given: list[Tensor], made: list[Tensor]) -> None:
        if name in NONDETERMINISTIC or f"{name}.{func._overloadname}" in NONDETERMINISTIC:
            from _shadow.device import place

            self.gpu.nondeterministic[name, place()] += 1
        if name in WAITS or _selects_by_mask(name, given):
            self.gpu.note("wait", name)
        if name in NO_LAUNCH or not (made or func._schema.is_mutable):  # steps over lists of tensors return nothing
            return
        if not func._schema.is_mutable and given:
            known = {x.untyped_storage()._cdata for x in given}
            if all(x.untyped_storage()._cdata in known for x in made):
                return  # a view
        self.gpu.note("op", name)


def _selects_by_mask(name: str, given: list[Tensor]) -> bool:
    """Whether the size of a result depends on values; writing one number through a mask does not."""
    if name not in INDEXING:
        return False
    masks = [x for x in given[1:] if x.dtype in (torch.bool, torch.uint8)]
    if name in ("index", "_unsafe_index"):
        return bool(masks)
    return given[-1].numel() != 1 and any(x is not given[-1] for x in masks)
