"""Networks filled with what others trained: `weights=FILE` of a method, which then is judged as it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bench.errors import UsageError
from bench.external import checkpoints
from bench.external.checkpoints import Released
from bench.method import TrainHP, param

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.method import Method


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReleasedHP(TrainHP):
    """Of a method whose network others have trained, too: nothing is trained where `weights` are given.

    Beside another base it stands last: a dataclass takes the defaults of the first.
    """

    weights: str = param("", "a checkpoint in place of training, by its file or its name in `runner.py weights`; sizes then are its own")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights:
            object.__setattr__(self, "steps", 0)
            object.__setattr__(self, "init", "default")


def open_released(m: Method, file: str, **task: int) -> Released | None:
    """The checkpoint of a method, and `m.hp` as it wants them; None where the method trains.

    Args:
        m: the method that is being built.
        file: `hp.weights`: a file, the name of a known one, or empty.
        task: what the task is, by the names that sources ask for, such as channels=3.

    Raises:
        UsageError: the file is none for this method or this task.
        Unavailable: it is known and not here.
    """
    if not file:
        return None
    released = checkpoints.read(type(m).__module__.rpartition(".")[2], file)
    for name, wanted in released.task.items():
        if task[name] != wanted:
            noun = name.replace("_", " ")
            raise UsageError(
                f"{released.path} is for {noun} {wanted}, the task has {noun} {task[name]}: set the task so, or give another file"
            )
    m.hp = dataclasses.replace(m.hp, **released.options)
    return released


def fill(m: Method, released: Released) -> None:
    """Put a checkpoint into every network that the method has by now.

    Raises:
        UsageError: a tensor is missing, is one too many, has another shape or holds numbers that are not finite.
    """
    for name, network in m.modules().items():
        own = {k.removeprefix(f"{name}."): v for k, v in released.tensors.items() if k.startswith(f"{name}.")}
        _check(name, network, own, released)
        network.load_state_dict(_counters(network) | own)


def _check(name: str, network: nn.Module, own: dict[str, Tensor], released: Released) -> None:
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items() if k not in _counters(network)}
    faults = [f"{name}.{k} is missing" for k in shapes.keys() - own.keys()] + [
        f"{name}.{k} is too many" for k in own.keys() - shapes.keys()
    ]
    faults += [
        f"{name}.{k} is {tuple(v.shape)}, not {shapes[k]}" for k, v in own.items() if tuple(v.shape) != shapes.get(k, tuple(v.shape))
    ]
    if faults:
        raise UsageError(f"{released.path} is of another network: {min(faults)}; give the options that it was trained with")
    if broken := [k for k, v in own.items() if not v.isfinite().all()]:
        raise UsageError(f"{released.path} holds numbers that are not finite, in {name}.{broken[0]}")


def _counters(network: nn.Module) -> dict[str, Any]:
    """Counts of batches, which nothing reads."""
    return {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
