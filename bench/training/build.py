"""What a trial is made of: the task with its data, the method under its seed."""

from __future__ import annotations

import functools
from pathlib import Path

import torch

from bench import registry
from bench.errors import Unavailable
from bench.method import Method
from bench.operators import chance
from bench.suites.trial import Trial
from bench.task import Task, mix


@functools.lru_cache(maxsize=16)
def open_task(spec: str, root: Path | None, device: torch.device) -> Task:
    """The task with its data attached, shared by the trials of a process."""
    task: Task = registry.make("task", spec)
    task.open(root, device)
    return task


def build(trial: Trial, task: Task) -> Method:
    """The method under its seed, on the task's device.

    Raises:
        Unavailable: the task lacks what the method needs, or a weight is missing.
    """
    cls: type[Method] = registry.find("method", trial.spec.name)
    if missing := sorted(cls.needs - task.offers):
        raise Unavailable(f"{trial.spec.name} needs {', '.join(missing)}, which the task does not offer with these data")
    if not hasattr(cls, task.verb):
        raise Unavailable(f"{trial.spec.name} cannot {task.verb}, which the task {trial.task.name} asks for")
    chance.seed(mix(trial.seed), task.device)
    with torch.device(task.device):
        return cls(task, **trial.spec.options)
