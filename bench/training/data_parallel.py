"""One trial on several devices: each rank trains the same networks on its share of every batch, along the mean of their gradients.

This is what torch's DistributedDataParallel computes, attached to the optimisers instead of the networks, so that a method's loop, its
gradient penalties and its frozen critics need not know. For a loss that is a mean over examples the gradient is that of the whole batch,
but for rounding; whatever sees more than one example at a time (batch norm, minibatch discrimination) sees a share, and of running
averages the leader's are kept.

The leader, rank 0, is the trial: it validates, saves and records. The others follow: they take its state before the first update, and its
message after each whether there is another. Ray Train brings the ranks together and starts them again where one dies
(`bench.scheduling.ray_engine`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from bench.method import Logs, Method
from bench.operators import chance
from bench.store import checkpoint
from bench.task import Stream, mix

_RANK_STREAM = 3  # keeps the random numbers of a rank apart from those of a seed


class RankLost(Exception):
    """A process of the trial died: no failing of the trial, which goes on from its checkpoint once they are all there again."""


def lead(method: Method) -> None:
    """Make this process the leader: `method.train` shares out its batches and averages gradients.

    Raises:
        ValueError: the batch cannot be shared out evenly.
    """
    _share_gradients(method)
    method.train = functools.partial(_leader_updates, method, method.train)  # type: ignore[method-assign]


def follow(method: Method, stream: Stream) -> None:
    """Train beside the leader, if it trains, until it stops its followers.

    Raises:
        ValueError: the batch cannot be shared out evenly.
    """
    joined = False
    while (message := _broadcast(None, method.device)) is not None:
        if not joined:  # once, though it may train several times: an initialiser that looks at data rehearses
            _share_gradients(method)
            joined = True
        state, stream.drawn = message
        method.load_state(checkpoint.to(state, method.device))
        updates = method.train(_Share(stream))
        while True:
            # a function of the update, so that nothing needs saving
            chance.seed(mix(stream.seed, _RANK_STREAM, dist.get_rank(), method.t), method.device)
            if next(updates, None) is None or not _broadcast(None, method.device):
                break


def stop_followers(device: torch.device) -> None:
    """Send the message that ends `follow` on the other ranks."""
    _broadcast(None, device)


def _leader_updates(method: Method, train: Callable[[Iterator[Any]], Iterator[Logs]], stream: Stream) -> Iterator[Logs]:
    _broadcast((checkpoint.to(method.state(), "cpu"), stream.drawn), method.device)
    for logs in train(_Share(stream)):
        try:
            yield logs
        except GeneratorExit:  # the trial stops before its last update
            _broadcast(False, method.device)
            raise
        _broadcast(True, method.device)


def _share_gradients(method: Method) -> None:
    size, ranks = getattr(method.hp, "batch_size", 1), dist.get_world_size()
    if size % ranks:
        raise ValueError(f"a batch of {size} cannot be shared out among {ranks} ranks: give a multiple of them with --set batch_size=...")
    for value in vars(method).values():
        if isinstance(value, Optimizer):
            value.register_step_pre_hook(_average)


@torch.no_grad()
def _average(opt: Optimizer, *_: Any) -> None:
    """The gradients of all ranks -> their mean, in one message."""
    gradients = [p.grad for group in opt.param_groups for p in group["params"] if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    with _report_lost_rank():
        dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class _Share(Iterator[Any]):
    """A rank's part of every batch of a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __next__(self) -> Any:
        batch, n = next(self.stream), self.stream.batch_size // dist.get_world_size()
        mine = slice(dist.get_rank() * n, (dist.get_rank() + 1) * n)
        if isinstance(batch, Tensor):
            return batch[mine]
        return dataclasses.replace(
            batch, **{f.name: v[mine] for f in dataclasses.fields(batch) if isinstance(v := getattr(batch, f.name), Tensor)}
        )


def _broadcast(message: Any, device: torch.device) -> Any:
    """The leader's message, on every rank."""
    messages = [message]
    with _report_lost_rank():
        dist.broadcast_object_list(messages, src=0, device=device)
    return messages[0]


@contextlib.contextmanager
def _report_lost_rank() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # which is all that torch.distributed says of it
        raise RankLost(str(error)) from error
