"""A batch that does not fit into memory, in micro-batches that do: their gradients are summed up, and an update stays an update.

What counts as an update. The method's loop makes k passes at one `t`, each on a micro-batch from the stream; the harness sees one update
with the mean of their logs. So `steps`, schedules, evaluations, checkpoints and the steps of curves are those of the whole batch, images
seen too, and no checkpoint falls between two passes. Every optimiser steps at each k-th call, along the mean of the gradients of these
calls.

What stays the same. For a loss that is a mean over examples this is the gradient of the whole batch, but for rounding. Whatever sees more
than one example at a time (batch norm, minibatch discrimination, moments that are matched, a relativistic average) sees a micro-batch.

Two players. Each optimiser accumulates for itself: one that is called `n_critic` times a pass is called k `n_critic` times an update, and
still steps `n_critic` times, on as many examples as ever. But those steps are spread over the passes: the generator's gradient is a mean
of k parts, each against the critic of its pass, of which the last alone comes after all of the critic's steps.

What else a loop does in a pass it does k times an update. Clipping and projecting weights again changes nothing; a running average that a
method keeps by itself (batch norm's, `historical_averaging_gan`'s) moves k times.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.method import Logs, Method

_ADVICE = "so gradients cannot be accumulated over micro-batches: lower batch_size instead"


def accumulate(method: Method, micro_batches: int) -> None:
    """Make an update of `method` out of so many passes of its loop, each on a micro-batch.

    Raises:
        RuntimeError: it has no optimiser. Later, in training: an update rule calls a closure, or a loop steps on some micro-batches only.
    """
    steps = [_AccumulatingStep(opt, micro_batches) for opt in vars(method).values() if isinstance(opt, Optimizer)]
    if not steps:
        raise RuntimeError(f"{type(method).__name__} has no optimiser, {_ADVICE}")
    for step in steps:
        step.opt.step = step  # type: ignore[method-assign, assignment]
    method.train = functools.partial(_accumulated_updates, method, method.train, micro_batches, steps)  # type: ignore[method-assign]


class _AccumulatingStep:
    """Replaces an optimiser's `step`: sums up gradients, and steps at every so many calls along their mean."""

    def __init__(self, opt: Optimizer, micro_batches: int) -> None:
        self.opt, self.micro_batches, self.plain_step = opt, micro_batches, opt.step
        self.calls, self.sums = 0, dict[Tensor, Tensor]()

    @torch.no_grad()
    def __call__(self, closure: Callable[[], Any] | None = None) -> None:
        if closure is not None:
            raise RuntimeError(f"this update rule evaluates the loss by itself, {_ADVICE}")
        self.calls += 1
        if found := {p: p.grad for group in self.opt.param_groups for p in group["params"] if p.grad is not None}:
            self.sums |= {p: torch.zeros_like(g) for p, g in found.items() if p not in self.sums}
            torch._foreach_add_([self.sums[p] for p in found], list(found.values()))
        if self.calls == self.micro_batches:
            for p, total in self.sums.items():
                p.grad = total.div_(self.micro_batches)
            self.calls, self.sums = 0, {}
            self.plain_step()


def _accumulated_updates(
    method: Method,
    train: Callable[[Iterator[Any]], Iterator[Logs]],
    micro_batches: int,
    steps: Sequence[_AccumulatingStep],
    data: Iterator[Any],
) -> Iterator[Logs]:
    """The method's `train`, with one update for so many of its own: it counts in `t`, which is set back until the last of them."""
    shares = iter(train(data))
    while True:
        t, logs = method.t, list[Logs]()
        for _ in range(micro_batches):
            method.t = t
            if (share := next(shares, None)) is None:
                return
            logs.append(share)
        if any(step.calls for step in steps):
            raise RuntimeError(f"{type(method).__name__}.train steps on some micro-batches and not on others, {_ADVICE}")
        yield _mean(logs)


def _mean(logs: Sequence[Logs]) -> dict[str, Tensor]:
    """Key by key, over those that have it."""
    keys = dict.fromkeys(key for share in logs for key in share)
    return {k: torch.stack([torch.as_tensor(share[k]).detach().float() for share in logs if k in share]).mean() for k in keys}
