"""What using a trained method costs: time, memory, parameters, operations. The harness measures it, whatever the task."""

from __future__ import annotations

import math

import torch

from bench import registry
from bench.cards import Card
from bench.method import Method
from bench.task import Task

_COSTS = {
    "ms_per_image": "time",
    "megapixels_per_s": "throughput",
    "peak_memory_mb": "memory",
    "parameters": "parameters",
    "gflops": "flops",
}


def measure(method: Method, task: Task) -> dict[str, float]:
    """What using the trained method costs; the harness measures it, whatever the task, where it is used here."""
    if method.origin:
        return {}
    with torch.device(task.device):
        if (batch := task.sample()) is None:
            return {}
        costs = {column: float(registry.make("metric", name)(method, batch)) for column, name in _COSTS.items()}
    return {column: value for column, value in costs.items() if math.isfinite(value)}


def cards(task: Task) -> dict[str, Card]:
    """Column -> how it is measured."""
    with torch.device(task.device):
        return {column: registry.make("metric", name).card() for column, name in _COSTS.items()}
