"""How much of a GPU a trial takes where several share one: the memory of its first updates and a validation on a whole one."""

from __future__ import annotations

import contextlib
import math
import tempfile
from pathlib import Path

import torch

from bench.evaluation import evaluation_mode
from bench.running.settings import Settings
from bench.suites.trial import Trial
from bench.task import Stream
from bench.training.build import build, open_task
from bench.training.loop import Interrupted, Plan, Training
from bench.training.progress import Progress

_UPDATES = 4  # by then every optimiser has its state, and an update is recorded as a graph
_SPARE = 1.25  # a trial may come to need more: pictures to judge are larger, memory is cut into pieces
_CONTEXT = 600.0  # MiB that CUDA itself takes in every process


def measure(trial: Trial, settings: Settings) -> float:
    """The share of a trial, of GPUs like the one of this process; 1 where its first updates fail: the trial itself will report why."""
    with contextlib.suppress(Exception), tempfile.TemporaryDirectory(prefix="ganbench-") as scratch:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(settings.device)
        _train_a_little(trial, settings, Path(scratch))
        total = torch.cuda.get_device_properties(settings.device).total_memory
        return share(torch.cuda.max_memory_reserved(settings.device) / 2**20, total / 2**20)
    return 1.0


def share(used: float, total: float) -> float:
    """MiB that a trial used, of so many -> what to reserve for it, rounded up to hundredths."""
    return min(math.ceil((used * _SPARE + _CONTEXT) / total * 100) / 100, 1.0)


def _train_a_little(trial: Trial, settings: Settings, scratch: Path) -> None:
    """Train a little, as the trial would."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    method = settings.compute.apply(build(trial, task))
    stream = Stream(task, trial.seed, getattr(method.hp, "batch_size", 1))
    graphed, plan = settings.compute.graphed(method, stream), Plan(scratch, trial.evaluations, higher_is_better=True)
    run = Training(method, stream, lambda: task.validate(method), plan, Progress(), graphed)
    if run.steps:
        with contextlib.suppress(Interrupted), settings.compute.running(settings.device):
            run.run(lambda: method.t >= _UPDATES)
    else:
        with evaluation_mode(method):
            task.validate(method)
