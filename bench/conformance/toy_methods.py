"""Methods small enough for any task, one for each verb: what the contract of tasks gives a task to train and to judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.method import Logs, Method, TrainHP


class _Toy(Method):
    """Trained by least squares."""

    opt: Optimizer

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """Nothing of its own."""

    def loss(self, batch: Any) -> Tensor:
        """A scalar."""
        raise NotImplementedError

    def train(self, data: Iterator[Any]) -> Iterator[Logs]:
        """Plain descent, with some noise from torch's global random numbers that evaluation must not move."""
        while self.t < self.hp.steps:
            loss: Any = self.loss(next(data)) * (1 + 0.1 * torch.rand((), device=self.device))
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.t += 1
            yield {"loss": loss.detach()}


class ToyRestorer(_Toy):
    """The mean channel, at the size of the target, times a gain: one for each channel of the target."""

    def build(self, task: Any) -> None:
        """As the task's pairs are."""
        batch = task.batch(1, torch.Generator().manual_seed(0))
        self.scale = batch.target.shape[-1] // batch.observed.shape[-1]
        self.net = nn.Conv2d(1, batch.target.shape[1], 1)
        self.opt = self.optimizer(self.net)

    def loss(self, batch: Any) -> Tensor:
        """Squared error."""
        error: Tensor = self._map(batch.observed) - batch.target
        return error.square().mean()

    def restore(self, batch: Any) -> Tensor:
        """N x C x H x W."""
        return self._map(batch.observed).clamp(0, 1)

    def _map(self, observed: Tensor) -> Tensor:
        y: Tensor = self.net(F.interpolate(observed.mean(1, keepdim=True), scale_factor=self.scale))
        return y


class ToySampler(_Toy):
    """A line from latents to samples, trained on their mean."""

    def build(self, task: Any) -> None:
        """As the task's samples are."""
        self.net = nn.Linear(4, task.batch(1, torch.Generator().manual_seed(0)).x[0].numel())
        self.shape = tuple(task.shape)
        self.opt = self.optimizer(self.net)

    def loss(self, batch: Any) -> Tensor:
        """Squared error of the mean."""
        error: Tensor = self.sample(len(batch)).mean(0) - batch.x.mean(0)
        return error.square().mean()

    def sample(self, n: int) -> Tensor:
        """N x shape."""
        y: Tensor = self.net(torch.randn(n, 4, device=self.device)).unflatten(1, self.shape)
        return y.clamp(0, 1) if len(self.shape) == 3 else y


class ToyDescent(_Toy):
    """The task's own model under its own loss."""

    def build(self, task: Any) -> None:
        """At its start."""
        self.net = task.model()
        self.opt = self.optimizer(self.net)

    def loss(self, batch: Any) -> Tensor:
        """The task's."""
        value: Tensor = self.task.loss(self.net, batch)
        return value

    def minimise(self) -> nn.Module:
        """The model."""
        model: nn.Module = self.net
        return model


TOY_METHODS: dict[str, Callable[..., Method]] = {"restore": ToyRestorer, "sample": ToySampler, "minimise": ToyDescent}
"""Verb -> a method that has it."""
