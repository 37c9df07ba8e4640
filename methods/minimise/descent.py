"""Descent of a task's own loss by one update rule: what compares optimizers, schedules and initialisers on equal terms.

Schmidt, Schneider, Hennig, "Descending through a Crowded Valley: Benchmarking Deep Learning Optimizers", ICML 2021, arXiv:2007.01547.

    one update of Sec. 2: batch, gradient, rule, schedule -> train
Departures: the task may project the model after each update (online learning over a set); a loss beyond the task's limit counts as
infinite; rules that look ahead (nag, nag_notes, nadam_notes) are validated and tested at the look-ahead point, where their model rests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Logs, Method, TrainHP, param
from bench.offers import MinimisationTask
from methods.procedures import regress


class Descent(Method[MinimisationTask]):
    """`task.model()` under `task.loss` and one optimizer."""

    toy: ClassVar = {"optimizer": "sgd"}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """What is compared: the rule, its schedule, the start."""

        steps: int = param(2000, "updates")
        batch_size: int = param(64, "examples per update; tasks that have one loss for all updates ignore it")

    hp: HP

    @override
    def build(self, task: MinimisationTask) -> None:
        self.model: nn.Module = task.model()
        self.opt = self.optimizer(self.model)

    def loss(self, batch: Any) -> Tensor:
        """The loss of the task: a scalar."""
        value: Tensor = self.task.loss(self.model, batch)
        return value

    @override
    def train(self, data: Iterator[Any]) -> Iterator[Logs]:
        """Gradient, rule, projection. A loss above the task's limit is logged as infinite, which the harness calls a divergence."""
        limit = self.task.limit
        for logs in regress(self, data, self.loss, self.hp.steps):
            self.task.project(self.model)
            value = torch.as_tensor(logs["loss"])
            yield {"loss": value.masked_fill(value > limit, float("inf"))}

    def minimise(self) -> nn.Module:
        """The model where the descent stands."""
        return self.model
