"""What a trial costs beside its training: empty trials, one after another in one process, and on two workers through Ray.

Usage: python benchmarks/scheduler.py [trials]
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from typing_extensions import override

import bench  # noqa: F401  (sets the environment before torch is imported)
from bench.running.identify import identify
from bench.running.job import Job
from bench.running.job import run as run_job
from bench.running.settings import Settings
from bench.scheduling import ray_engine, scheduler
from bench.store.ledger import Ledger
from bench.store.record import TrialRecord
from bench.suites import expand, read
from bench.training.progress import Progress

SUITE = """
title = "Trials of one update"
task = "landscape[function=rosenbrock,spread=0.1]"
sort = "log10_suboptimality"
methods = ["descent"]
[tiers.smoke]
evaluations = 1
hp = { steps = 1 }
"""


class Ends(Progress):
    """A display that remembers when trials came on record."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def start(self, job: Job, total: int) -> Progress:
        """One view for all."""
        return self

    @override
    def ended(self, records: Sequence[TrialRecord]) -> None:
        self.at.append(time.perf_counter())


def run(folder: Path, engine, settings: Settings, trials: int) -> float:
    """Median milliseconds between two trials that come on record, tens of them at a time: Ray hands them over in flocks."""
    (folder / "empty.toml").write_text(SUITE)
    jobs = expand.expand(read.load_suite(str(folder / "empty.toml")), "smoke", seeds=range(trials))
    ends = Ends()
    scheduler.run_all(jobs, settings, Ledger("empty", settings.out), ends, engine=engine)
    tens = [(b - a) * 100 for a, b in itertools.pairwise(ends.at[10::10])]  # ms a trial, without the first ten
    return statistics.median(tens)


def alone(folder: Path, trials: int) -> float:
    """Milliseconds of the trials alone: no store, no scheduler."""
    settings = Settings(out=folder, device=torch.device("cpu"), threads=1)
    (folder / "empty.toml").write_text(SUITE)
    jobs = expand.expand(read.load_suite(str(folder / "empty.toml")), "smoke", seeds=range(trials))
    seconds = []
    for trial in jobs:
        job = Job(0, (trial,), (identify(trial, settings),))
        start = time.perf_counter()
        run_job(job, settings, Progress(), lambda: False)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[10:]) * 1e3


def main(trials: int = 200) -> None:
    """Print milliseconds a trial, and what the store and Ray add."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / part for part in ("alone", "here", "ray")]
        for folder in folders:
            folder.mkdir()
        bare = alone(folders[0], trials)
        settings = Settings(out=folders[1], device=torch.device("cpu"), threads=1)
        here = run(folders[1], scheduler.run_serially, settings, trials)
        with ray_engine.engine(2, None, Settings(out=folders[2], device=torch.device("cpu"), threads=1)) as (engine, theirs):
            many = run(folders[2], engine, theirs, trials)
    print(f"a trial of one update {bare:.0f} ms; with the store {here:.0f} ms, so {here - bare:.0f} ms for going on record")
    print(f"two workers: one more on record every {many:.0f} ms ({many / here:.2f} of one process)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
