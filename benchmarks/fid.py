"""The Frechet distance here against torch-fidelity's and SciPy's matrix root: python benchmarks/fid.py [n] [d] [rounds].

Features are given, only the arithmetic is timed, in processor time. The features are random numbers of decaying variance, as networks
yield them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import scipy.linalg
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

import bench  # noqa: F401  (sets the environment)
from bench.metrics._frechet import frechet


def ours(a: Tensor, b: Tensor) -> float:
    """Nuclear norm of covariance factors."""
    return float(frechet(a.double(), b.double()))


def torch_fidelity(a: Tensor, b: Tensor) -> float:
    """The library."""
    return float(next(iter(fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), verbose=False).values())))


def scipy_root(a: Tensor, b: Tensor) -> float:
    """The textbook."""
    x, y = a.double().numpy(), b.double().numpy()
    s, t = (np.cov(z, rowvar=False) for z in (x, y))
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real))


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """Processor seconds, and the result."""
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


def main(n: int = 250, d: int = 1024, rounds: int = 3) -> None:
    """Print seconds and paired ratios."""
    rng = torch.Generator().manual_seed(0)
    scale = torch.logspace(0, -2, d)
    a, b = torch.randn(n, d, generator=rng) * scale, torch.randn(n, d, generator=rng) * scale + 0.05
    ways = {"ours": ours, "torch-fidelity": torch_fidelity, "scipy sqrtm": scipy_root}
    ours(a[:9], b[:9])  # warm up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    values: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            spent, values[name] = timed(lambda: way(a, b))  # noqa: B023
            seconds[name].append(spent)
    print(f"{n} x {d} features, torch {torch.__version__}, {torch.get_num_threads()} threads, {rounds} rounds")
    for name, spent in seconds.items():
        ratio = statistics.median(s / o for s, o in zip(spent, seconds["ours"]))
        print(f"{name:>15} {statistics.median(spent):9.3f} s   {ratio:7.1f} x ours   value {values[name]:.9f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
