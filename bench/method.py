"""The contract of a method: `build`, `prepare`, a `train` generator that yields once per update, and the verb its task asks for.

Three laws make resume exact: state lives on self; loops are `while self.t < ...`; the stream never ends.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from bench import registry
from bench.offers import Batch as Batch
from bench.offers import Capability, OfferedTask
from bench.offers import Samples as Samples
from bench.spec import param as param

if TYPE_CHECKING:
    from torch.optim import Optimizer

AnyTask = TypeVar("AnyTask", bound="OfferedTask", default=Any)

Logs = Mapping[str, Tensor | float]
"""What an update reports: detached scalars. `float()` is the runner's business, so a step never waits for the device."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainHP:
    """What every trained method has. A method overrides the defaults with its paper's values."""

    steps: int = param(100_000, "updates")
    batch_size: int = param(1, "images per update")
    optimizer: str = param("adam", "update rule of every network")
    schedule: str = param("constant", "learning rate against progress")
    init: str = param("default", "initialiser of every trainable network")

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch_size < 1:
            raise ValueError(f"steps must be >= 0 and batch_size >= 1, not {self.steps} and {self.batch_size}")


class Method(Generic[AnyTask]):
    """One published method. Subclasses give `HP`, `build`, `train` and one verb (`restore`, `sample`, ...).

    `Method[RestorationTask]` names the kind of task (see `bench.offers`); `hp: HP` in a subclass gives its hyper-parameters their types.
    """

    needs: ClassVar[frozenset[Capability]] = frozenset()  # what the task must offer
    toy: ClassVar[Mapping[str, Any]] = {}  # hyper-parameters that make the method small, for the contract checks
    origin: ClassVar[str] = ""  # where its results come from, if not from what this code does: it stands at the row, and no costs do

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Hyper-parameters: the paper's values, each with its section."""

    hp: Any  # an HP
    task: AnyTask
    t: int  # updates made so far
    opt: Optimizer  # what `methods.procedures.regress` steps, of methods that use it

    def __init__(self, task: AnyTask, **hp: Any) -> None:
        self.hp = self.HP(**hp)
        self.task = task
        self.t = 0
        self.build(task)
        if init := getattr(self.hp, "init", None):
            for network in self.networks().values():
                registry.make("init", init)(network)

    # -- what a method defines
    def build(self, task: AnyTask) -> None:
        """Make networks and optimisers on torch's default device, as attributes of self; `self.hp` and `self.task` are there already.

        Random numbers come from torch's global generator, which the harness seeds. Initialisers (`hp.init`) run afterwards.

        Raises:
            UsageError: the hyper-parameters do not fit the task; the message says which value to change.
            Unavailable: it needs something that is not here (weights, square pictures); the trial is skipped with that reason.
        """

    def prepare(self, data: Iterator[Any]) -> None:
        """Look at training batches once, before training and before `data_dependent_init`; nothing by default.

        Args:
            data: a stream of `Batch` or `Samples` that never ends; batch i is a function of (seed, i).
        """

    def train(self, data: Iterator[Any]) -> Iterator[Logs]:
        """The paper's algorithm, as a generator that yields once per update; a method that needs no training yields nothing.

        It may be abandoned at any yield and called again with `t` and all state put back, so loops are `while self.t < self.hp.steps`,
        `self.t` grows before the yield, and nothing is kept in local variables from one update to the next.

        Args:
            data: as in `prepare`; on the task's device.

        Yields:
            What was measured in the update: detached scalars, or numbers.
        """
        yield from ()

    # -- what a method uses
    def optimizer(self, *modules: nn.Module, spec: str | None = None) -> Optimizer:
        """An optimiser over the trainable parameters of `modules`, from a spec string such as "adam[lr=2e-4]".

        Raises:
            UsageError: no such update rule or option.
        """
        params = [p for m in modules for p in m.parameters() if p.requires_grad]
        opt: Optimizer = registry.make("optimizer", spec or self.hp.optimizer)(params)
        for group in opt.param_groups:
            group["base_lr"] = group["lr"]
        return opt

    def anneal(self) -> None:
        """Set every learning rate for update `t` from `hp.schedule`: a pure function of t, so nothing needs saving."""
        factor = self._schedule(self.t / max(self.hp.steps, 1))
        for opt in self._of_type(torch.optim.Optimizer).values():
            for group in opt.param_groups:
                rate = group["base_lr"] * factor
                if isinstance(group["lr"], Tensor):  # a graph of the update reads it there
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def data_dependent_init(self, data: Iterator[Any]) -> None:
        """Run an initialiser that needs data (one with `fit`, such as lsuv) on the activations of a first update, which is then undone."""
        init = registry.make("init", getattr(self.hp, "init", "default"))
        if hasattr(init, "fit"):
            init.fit(self.networks().values(), lambda: self._dry_run(data))

    @property
    def stochastic_inference(self) -> bool:
        """Whether `restore` draws random numbers (dropout, sampling): pictures are then restored one by one,
        each under a seed of its own.
        """
        return False

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.task.device

    # -- what the runner uses
    def extra_metrics(self) -> dict[str, float]:
        """Numbers for the summary of the record: those of every optimiser that has `extra_metrics`, such as "opt_d.fused", by attribute
        name.
        """
        found = {k: opt.extra_metrics() for k, opt in self._of_type(torch.optim.Optimizer).items() if hasattr(opt, "extra_metrics")}
        return {f"{k}.{name}": value for k, metrics in found.items() for name, value in metrics.items()}

    def networks(self) -> dict[str, nn.Module]:
        """The trainable networks by attribute name."""
        return {k: m for k, m in self._of_type(nn.Module).items() if any(p.requires_grad for p in m.parameters())}

    def modules(self) -> dict[str, nn.Module]:
        """Every network, frozen ones too."""
        return self._of_type(nn.Module)

    def state(self) -> dict[str, Any]:
        """All that decides the rest of training: `state_dict`s, tensors and plain values on self, by attribute name."""
        return {k: copy.deepcopy(v.state_dict() if hasattr(v, "state_dict") else v) for k, v in self._stateful().items()}

    def weights(self) -> dict[str, Any]:
        """What of the state using the method needs: all but the optimisers'."""
        return {k: v for k, v in self.state().items() if not isinstance(getattr(self, k), torch.optim.Optimizer)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` returned."""
        for key, value in state.items():
            current: Any = getattr(self, key, None)
            if hasattr(current, "load_state_dict"):
                current.load_state_dict(value)
            else:
                setattr(self, key, copy.deepcopy(value))

    @functools.cached_property
    def _schedule(self) -> Callable[[float], float]:
        """Progress -> factor; made once, for reading a spec costs as much as a small update."""
        return registry.make("schedule", self.hp.schedule)  # type: ignore[no-any-return]

    def _dry_run(self, data: Iterator[Any]) -> None:
        """One update on real data, undone afterwards but for the batches and random numbers it used up."""
        before = self.state()
        next(iter(self.train(data)), None)
        for key in self._stateful().keys() - before.keys():
            delattr(self, key)
        self.load_state(before)

    def _of_type(self, kind: type) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if isinstance(v, kind)}

    def _stateful(self) -> dict[str, Any]:
        """Everything on self but options, the task, functions, and fixed feature networks: those are rebuilt, not saved."""
        fixed = {"hp", "task"} | (self.modules().keys() - self.networks().keys())
        return {k: v for k, v in vars(self).items() if k not in fixed and (hasattr(v, "state_dict") or not (callable(v) or _is_options(v)))}


def _is_options(value: Any) -> bool:
    """A part made from a spec: a frozen dataclass cannot change, so it is no state."""
    return dataclasses.is_dataclass(value) and bool(value.__dataclass_params__.frozen)  # type: ignore[union-attr]
