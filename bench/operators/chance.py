"""torch's global random numbers: those of the CPU and of the device in use. To ask for those of other GPUs would open a context on each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gpus(device: torch.device) -> list[int]:
    """The number of the GPU in use, as `torch.random.fork_rng` takes it; none on a CPU."""
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


def seed(n: int, device: torch.device) -> None:
    """Start them from a seed."""
    torch.default_generator.manual_seed(n)  # torch.manual_seed seeds every device, and keeps a traceback for each that is not there
    for i in gpus(device):
        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.default_generators[i].manual_seed(n)
    if device.type == "mps":
        torch.mps.manual_seed(n)


def state(device: torch.device) -> list[Tensor]:
    """The state of the device's, as a list that is empty on a CPU."""
    return [torch.cuda.get_rng_state(i) for i in gpus(device)]


def restore(states: Sequence[Tensor], device: torch.device) -> None:
    """Put back what `state` returned; what was saved on a CPU leaves a GPU's as they are."""
    for i, saved in zip(gpus(device), states, strict=False):
        torch.cuda.set_rng_state(saved, i)
