"""Relative living times: for what share of a filtration a point cloud shows i holes, over random choices of landmarks.

Khrulkov and Oseledets. Geometry Score: A Method For Comparing Generative Adversarial Networks. ICML 2018, arXiv:1802.02664, Algorithm 1.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
from numpy.random import SeedSequence

from bench.metrics import _persistence, _witness
from bench.metrics._witness import Floats

_LARGEST = 2**30  # bytes of an N x N table that is kept; larger clouds compute the distances of each choice anew


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of the complex on one choice of landmarks."""

    landmarks: int
    gamma: float  # the filtration ends at gamma times the largest distance between a landmark and a point
    i_max: int  # holes are counted up to i_max - 1


def living_times(points: Floats, options: Options, seeds: list[SeedSequence], workers: int = 1) -> Floats:
    """The share of the filtration during which exactly i holes are alive: one row a seed, i < i_max. Workers do not change a bit.

    Args:
        points: N x d.
        options: see there.
        seeds: one for each choice of landmarks.
        workers: processes.
    """
    pairwise = len(points) ** 2 * points.itemsize <= _LARGEST
    data = _distances(points) if pairwise else points
    if workers == 1:
        return np.stack([_once(data, pairwise, options, seed) for seed in seeds])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npy"  # mapped, not copied, into the workers
        np.save(file, data)
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads in whatever state they are
        with concurrent.futures.ProcessPoolExecutor(workers, context, _open, (file, pairwise, options)) as pool:
            return np.stack([*pool.map(_in_worker, seeds, chunksize=-(-len(seeds) // (4 * workers)))])


def relative_living_times(intervals: Floats, alpha: float, i_max: int) -> Floats:
    """Share of [0, alpha] during which exactly i intervals are alive, i < i_max (Eq. 2 and 3)."""
    if alpha == 0:  # all points are one
        intervals, alpha = intervals[:0], 1.0
    switches = np.unique(np.append(intervals, [0.0, alpha]))
    born, died = (np.searchsorted(np.sort(ends), switches[:-1], side="right") for ends in intervals.T)
    alive = born - died
    times = np.bincount(alive, np.diff(switches), minlength=i_max)
    shares: Floats = times[:i_max] / alpha
    return shares


def _once(data: Floats, pairwise: bool, options: Options, seed: SeedSequence) -> Floats:
    chosen = np.random.default_rng(seed).choice(len(data), options.landmarks)  # with replacement, as the authors draw
    table = data[chosen] if pairwise else _distances(data[chosen], data)
    alpha = float(table.max()) * options.gamma
    edges, triangles = _witness.build(table, alpha)
    return relative_living_times(_persistence.holes(edges, triangles, alpha), alpha, options.i_max)


def _distances(a: Floats, b: Floats | None = None) -> Floats:
    """Euclidean, summed term by term: exact zeros between equal points, the same bits whichever table they are read from."""
    from scipy.spatial.distance import cdist, pdist, squareform

    table: Floats = squareform(pdist(a)) if b is None else cdist(a, b)
    return table


_job: tuple[Floats, bool, Options]


def _open(file: Path, pairwise: bool, options: Options) -> None:
    global _job
    _job = np.load(file, mmap_mode="r"), pairwise, options


def _in_worker(seed: SeedSequence) -> Floats:
    return _once(*_job, seed)
