"""How many parameters a method has."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from torch import Tensor, nn
from typing_extensions import override

from bench.method import Batch, Method
from bench.metric import CostMetric
from bench.metrics._inference import use, without_side_effects
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameters(CostMetric):
    """Trainable parameters, shared ones once: of the layers that run when the method is used, or of every network (critics too)."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    title: ClassVar[str] = "parameters"
    definition: ClassVar[str] = "trainable parameters: of the layers that run when the method is used, or of all its networks"

    of: Literal["inference", "training"] = param(
        "inference", "the layers that run when the method is used, or all networks, critics among them"
    )

    @override
    def __call__(self, method: Method, batch: Batch | int) -> float:
        return float(sum(self.per_network(method, batch).values()))

    def per_network(self, method: Method, batch: Batch | int) -> dict[str, int]:
        """The count by network, by attribute name. What two networks share counts for the first."""
        networks = method.networks()
        used = None if self.of == "training" else _used(networks, method, batch)
        counts, seen = {}, set[int]()
        for name, network in networks.items():
            parameters = [p for p in network.parameters() if p.requires_grad and id(p) not in seen and (used is None or id(p) in used)]
            seen.update(map(id, parameters))
            counts[name] = sum(p.numel() for p in parameters)
        return counts


def _used(networks: dict[str, nn.Module], method: Method, batch: Batch | int) -> set[int]:
    """The ids of the parameters owned by modules whose `forward` ran."""
    used: set[int] = set()

    def note(module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        used.update(id(p) for p in module.parameters(recurse=False))

    modules = {module for network in networks.values() for module in network.modules()}
    handles = [module.register_forward_pre_hook(note) for module in modules]
    try:
        with without_side_effects(method):
            use(method, batch)
    finally:
        for handle in handles:
            handle.remove()
    return used
