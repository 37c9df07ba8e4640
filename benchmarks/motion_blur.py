"""Camera shake, timed: a batch of kernels against one kernel after the other, and direct against Fourier convolution.

    python benchmarks/motion_blur.py

One after the other is done twice: as the published program does it (NumPy scalars), and in plain Python numbers, which are fastest.
All ways take turns in one run; figures are medians of processor time (all threads), which other programs disturb less than wall time.
"""

from __future__ import annotations

import cmath
import functools
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from bench.operators import psf
from datasets.degrade.motion_blur import MotionBlur

N, L, M, SIZE, ROUNDS = 256, 24.0, 2000, 27, 5
SEVERITY = (0.01, 0.009, 0.008, 0.007, 0.005, 0.003)


def numpy_scalars(rng: np.random.Generator) -> list[list[float]]:
    """One kernel, the law step by step on NumPy scalars."""
    step, p_s = L / (M - 1), rng.choice(SEVERITY)
    inertia, p_b, p_g = 0.7 * rng.uniform(), 0.2 * rng.uniform(), 10 * rng.uniform()
    v = np.exp(2j * np.pi * rng.uniform()) * p_s
    x = np.zeros(M, np.complex128)
    for t in range(M - 1):
        push = 2 * v * np.exp(1j * (np.pi + rng.uniform() - 0.5)) if rng.uniform() < p_b * p_s else 0
        v = v + push + p_s * (p_g * complex(rng.normal(), rng.normal()) - inertia * x[t]) * step
        v = v / np.abs(v) * step
        x[t + 1] = x[t] + v
    return raster(list(x))


def python_numbers(rng: random.Random) -> list[list[float]]:
    """One kernel, the law step by step on Python's own complex numbers."""
    step, p_s = L / (M - 1), rng.choice(SEVERITY)
    inertia, p_b, p_g = 0.7 * rng.random(), 0.2 * rng.random(), 10 * rng.random()
    v = cmath.exp(2j * math.pi * rng.random()) * p_s
    x = [0j]
    for _ in range(M - 1):
        push = 2 * v * cmath.exp(1j * (math.pi + rng.random() - 0.5)) if rng.random() < p_b * p_s else 0
        v += push + p_s * (p_g * complex(rng.gauss(0, 1), rng.gauss(0, 1)) - inertia * x[-1]) * step
        v *= step / abs(v)
        x.append(x[-1] + v)
    return raster(x)


def raster(x: list[complex]) -> list[list[float]]:
    """A path as a kernel, sample by sample."""
    shift = (1 + 1j) * (SIZE // 2) - sum(x) / M
    kernel = [[0.0] * SIZE for _ in range(SIZE)]
    for p in x[1:]:
        p += shift
        column, row = math.floor(p.real), math.floor(p.imag)
        dx, dy = p.real - column, p.imag - row
        kernel[row][column] += (1 - dx) * (1 - dy) / (M - 1)
        kernel[row][column + 1] += dx * (1 - dy) / (M - 1)
        kernel[row + 1][column] += (1 - dx) * dy / (M - 1)
        kernel[row + 1][column + 1] += dx * dy / (M - 1)
    return kernel


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def kernels() -> None:
    """A batch of N kernels, each way."""
    scalars, numbers, rng = np.random.default_rng(0), random.Random(0), torch.Generator().manual_seed(0)
    blur = MotionBlur(max_len=L, size=SIZE)
    ways: tuple[Callable[[], object], ...] = (
        lambda: [numpy_scalars(scalars) for _ in range(N)],
        lambda: [python_numbers(numbers) for _ in range(N)],
        lambda: blur.kernels(N, rng),
    )
    ways[-1]()
    rounds = [[seconds(way) for way in ways] for _ in range(ROUNDS)]
    published, plain, batch = (statistics.median(column) * 1e3 for column in zip(*rounds))
    print(
        f"{N} kernels: NumPy scalars {published:.0f} ms, Python numbers {plain:.0f} ms, batch {batch:.0f} ms ({batch / N:.2f} ms a kernel)"
    )
    print(f"ratio to NumPy scalars {published / batch:.1f}, to Python numbers {plain / batch:.1f}")


def convolutions() -> None:
    """Where the Fourier way overtakes the direct one."""
    for n, side in ((16, 64), (16, 128), (8, 256)):
        for k in (5, 9, 11, 13, 17, 25, 49):
            padded, kernel = torch.rand(n, 3, side + k - 1, side + k - 1), torch.rand(n, k, k)
            ways = [functools.partial(way, padded, kernel) for way in (psf._direct, psf._by_fft)]
            direct, fourier = (statistics.median(seconds(way) for _ in range(9)) for way in ways)
            print(f"{n} x 3 x {side} x {side}, kernel {k:2}: direct {direct * 1e3:6.2f} ms, Fourier {fourier * 1e3:6.2f} ms")


if __name__ == "__main__":
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    kernels()
    convolutions()
