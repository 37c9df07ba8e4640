"""The geometry score's living times here against cdist + GUDHI (pip install gudhi), as the authors compute them.

python benchmarks/geometry_score.py [--repeats N] [--points N] [--dimensions D]
"""

import argparse
import itertools
import time

import gudhi
import numpy as np
from numpy.random import SeedSequence
from scipy.spatial.distance import cdist

from bench.metrics._living_times import Options, living_times


def main() -> None:
    """Print CPU seconds of both, their ratio, and the largest difference; our one-off distance table is counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200, help="choices of landmarks; a score takes 1,000 a set")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=784)
    args = parser.parse_args()
    x = np.random.default_rng(0).random((args.points, args.dimensions))
    options = Options(landmarks=64, gamma=args.points / (128 * 5000), i_max=100)
    seeds = SeedSequence(0).spawn(args.repeats)
    living_times(x, options, seeds[:1])  # what is imported and cached once
    start = time.process_time()
    ours = living_times(x, options, seeds)
    middle = time.process_time()
    theirs = np.stack([_reference(x, options, seed) for seed in seeds])
    end = time.process_time()
    print(f"{args.points} points, {args.dimensions} dimensions, {options.landmarks} landmarks, {args.repeats} repeats")
    print(f"ours {middle - start:.2f} s, reference {end - middle:.2f} s of CPU: {(end - middle) / (middle - start):.1f} times as fast")
    print(f"largest difference {np.abs(ours - theirs).max()}")


def _reference(x: np.ndarray, options: Options, seed: SeedSequence) -> np.ndarray:
    """One choice of landmarks: sorted distances, witness complex, persistence, and the share of time of each number of holes."""
    distances = cdist(x, x[np.random.default_rng(seed).choice(len(x), options.landmarks)])
    alpha = distances.max() * options.gamma
    order = np.argsort(distances, axis=1)
    nearest = np.dstack([order, np.take_along_axis(distances, order, 1)])
    tree = gudhi.WitnessComplex(nearest).create_simplex_tree(max_alpha_square=alpha, limit_dimension=2)
    tree.persistence(homology_coeff_field=2)
    intervals = [(b, min(d, alpha)) for b, d in tree.persistence_intervals_in_dimension(1)]
    times = np.zeros(options.i_max)
    for start, stop in itertools.pairwise(sorted({0.0, alpha, *itertools.chain(*intervals)})):
        alive = sum(b <= (start + stop) / 2 < d for b, d in intervals)
        times[alive : alive + 1] += stop - start
    return times / alpha


if __name__ == "__main__":
    main()
