"""Averages of a network's weights over training, with which samples are drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

Average = dict[str, Tensor]
"""Of weights and buffers, by their names in `state_dict`; empty before the first update."""


def follow(average: Average, network: nn.Module, decay: float) -> None:
    """In place: average <- decay average + (1 - decay) weights; it starts at the weights."""
    weights = {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
    if not average:
        average |= {k: v.clone() for k, v in weights.items()}
    torch._foreach_lerp_([average[k] for k in weights], list(weights.values()), 1 - decay)


@contextlib.contextmanager
def averaged(network: nn.Module, average: Average) -> Iterator[None]:
    """The network with the weights of the average inside, where there is one."""
    if not average:
        yield
        return
    weights = {k: v.clone() for k, v in network.state_dict().items()}
    network.load_state_dict(weights | average)
    try:
        yield
    finally:
        network.load_state_dict(weights)
