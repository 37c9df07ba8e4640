"""What all update rules share: a state that a checkpoint does not round, and what they tell of themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override


class Kept(torch.optim.Optimizer):
    """An optimiser whose state is float32 at least, and the same after loading."""

    def extra_metrics(self) -> dict[str, float]:
        """Numbers for the record: "fused", 1 where one kernel steps through all tensors, 0 where each operation does (foreach)."""
        return {"fused": float(all(bool(group.get("fused")) for group in self.param_groups))}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but state keeps its precision, where torch rounds it to that of the parameters, and its memory is not shared."""
        super().load_state_dict(state_dict)
        params = [p for group in self.param_groups for p in group["params"]]
        for i, saved in state_dict["state"].items():
            state = self.state[params[i]]
            state.update({name: x.to(state[name].device, copy=True) for name, x in saved.items() if isinstance(x, Tensor)})


def wide(x: Tensor) -> torch.dtype:
    """The dtype that state of a tensor has: its own, or float32 where that is narrower."""
    return torch.promote_types(x.dtype, torch.float32)
