"""What the harness costs: an update under `bench.training.loop` against the same networks in a bare loop, alternating in one process.

Usage: python benchmarks/harness.py [updates] [rounds]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

import bench  # noqa: F401  (sets the environment before torch is imported)
from bench import registry
from bench.conformance.toys import ToyRestoration
from bench.task import Stream
from bench.training.loop import Plan, Training
from bench.training.progress import Progress

OPTIONS = {"ngf": 16, "ndf": 16, "blocks": 6, "content": "l1", "batch_size": 4, "n_critic": 1}


def method(updates: int):
    """DeblurGAN at the size of the quick tier on 64-pixel crops; pictures are made beforehand, so that only training is timed."""
    torch.manual_seed(0)
    cls = registry.find("method", "deblurgan")
    return cls(ToyRestoration(crop=64), steps=updates, **OPTIONS)


def harness(updates: int) -> float:
    """Seconds under the harness, as a user runs it: curves, divergence checks, a checkpoint at the end; validation apart."""
    made = method(updates)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Path(folder), evaluations=1, higher_is_better=False)
        training = Training(made, Stream(made.task, 0, OPTIONS["batch_size"]), lambda: {"none": 0.0}, plan, Progress())
        start = time.perf_counter()
        training.run(lambda: False)
        return time.perf_counter() - start


def bare(updates: int) -> float:
    """Seconds in `for _ in method.train(data): pass`."""
    made = method(updates)
    data = Stream(made.task, 0, OPTIONS["batch_size"])
    start = time.perf_counter()
    for _ in made.train(data):
        pass
    return time.perf_counter() - start


def main(updates: int = 60, rounds: int = 7) -> None:
    """Print medians and the ratio."""
    harness(4), bare(4)  # warm up
    pairs = [(harness(updates), bare(updates)) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    ours, theirs = (statistics.median(column) / updates * 1e3 for column in zip(*pairs))
    print(f"harness {ours:.2f} ms/update, bare loop {theirs:.2f} ms/update, median ratio {ratio:.4f} over {rounds} rounds of {updates}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
