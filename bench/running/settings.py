"""Where and how trials run."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import torch

from bench import registry
from bench.graphs import updates
from bench.judging.judge import KeepWeights
from bench.store.code_hash import code_hash
from bench.training import accumulation, compute, data_parallel, out_of_memory
from bench.training.compute import Compute


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the trials of a run have in common."""

    out: Path
    device: torch.device
    data_root: Path | None = None
    max_seconds: float = math.inf  # training time of one trial
    deterministic: bool = False
    checkpoint_seconds: float = 30.0
    threads: int | None = None  # that a process computes with; None: torch's own choice
    at_once: int = 1  # trials that run at the same time, which their times suffer from
    ranks: int = 1  # processes that share each trial, a device each, see `bench.training.data_parallel`
    checkpoints: str | None = None  # an fsspec URL where checkpoints are copied to, see `bench.store.checkpoint_mirror`
    plugins: tuple[Path, ...] = ()
    keep_weights: KeepWeights = "both"  # of every training: `both` the last and the best, the `last` alone, or `none`
    save_outputs: bool = False  # whether all that is restored or drawn while judging is kept
    strict_environment: bool = False  # whether versions and machine decide a result, too
    compute: Compute = dataclasses.field(default_factory=Compute)  # how networks compute in training
    on_oom: out_of_memory.OnOOM = "fail"  # or begin again on micro-batches of half the size, see `bench.training.accumulation`

    @property
    def device_here(self) -> torch.device:
        """The device, or the CPU on the head of a cluster that has none of its own: it looks at data, and computes nothing."""
        absent = self.device.type == "cuda" and not torch.cuda.is_available()
        return torch.device("cpu") if absent else self.device

    def result_affecting(self) -> dict[str, Any]:
        """What of this decides weights; what is rarely used counts only where it is."""
        facts = {"device": self.device.type, "max_seconds": self.max_seconds, "deterministic": self.deterministic}
        if self.on_oom != "fail":
            facts |= {"on_oom": self.on_oom, "code.accumulation": code_hash(accumulation)}
        if self.ranks > 1:
            facts |= {"ranks": self.ranks, "code.parallel": code_hash(data_parallel)}
        if computes := self.compute.facts(self.device):
            facts |= {**computes, "code.compute": code_hash(compute)}
        if self.compute.cuda_graphs:
            facts["code.graphs"] = code_hash(updates)
        return facts

    def prepare(self) -> None:
        """Apply the settings to this process: data root, plug-ins, threads, determinism."""
        if self.data_root:
            os.environ["GANBENCH_DATA"] = str(self.data_root)  # weights are looked for there too
        for plugin in self.plugins:
            registry.load_plugin(plugin)
        if self.threads:
            torch.set_num_threads(self.threads)
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
