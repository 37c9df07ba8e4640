"""Means over several test sets: of the sets' means, each set with an error of its own."""

import math

import numpy as np
import pytest
import scipy.stats

from bench.statistics import intervals, paired

SIZES = (6, 4, 30)
SETS = [f"set{i}" for i, n in enumerate(SIZES) for _ in range(n)]


def test_over_several_sets_a_mean_is_that_of_the_sets_means():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (2, 2, sum(SIZES)))
    found = paired.compare([a, b], sets=SETS)
    d = a.mean(0) - b.mean(0)
    of_sets = [d[:6], d[6:10], d[10:]]
    assert found.difference[0, 1] == pytest.approx(np.mean([s.mean() for s in of_sets]))
    assert (found.n, found.groups) == (40, 40)
    seeds = [np.mean([s[:, :6].mean(1), s[:, 6:10].mean(1), s[:, 10:].mean(1)], axis=0) for s in (a, b)]
    parts = [(s.var(ddof=1) / len(s) / 9, len(s) - 1) for s in of_sets] + [(s.var(ddof=1) / 2, 1) for s in seeds]
    error = math.sqrt(sum(v for v, _ in parts))
    freedom = error**4 / sum(v**2 / f for v, f in parts)
    student = scipy.stats.t.ppf(0.975, freedom) * error
    assert found.high[0, 1] - found.low[0, 1] >= 2 * student - 1e-9  # never narrower than without the caution that small sets ask for


def test_one_set_is_none():
    rng = np.random.default_rng(1)
    stacks, groups = rng.normal(0, 1, (3, 2, 12)), [i // 2 for i in range(12)]
    first, second = paired.compare(stacks, groups=groups), paired.compare(stacks, groups=groups, sets=["a"] * 12)
    assert (first.p == second.p).all()
    assert (first.low == second.low).all()


def test_groups_of_one_name_in_two_sets_are_two():
    rng = np.random.default_rng(2)
    assert paired.compare(rng.normal(0, 1, (2, 1, 12)), groups=[0, 1, 2] * 4, sets=["a"] * 6 + ["b"] * 6).groups == 6


def test_a_set_of_one_image_gives_no_verdict():
    rng = np.random.default_rng(3)
    found = paired.compare(rng.normal(0, 1, (2, 1, 12)), sets=["a"] * 11 + ["b"])
    assert found.reason == "no verdict: a test set holds one independent image, and nobody knows how far from it another would be"


def test_rows_that_are_alike_on_several_sets_are_rarely_told_apart():
    """Small sets are the hard case: their variance decides, and nobody knows it well."""
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(200):
        wrong += paired.compare(rng.normal(0, 1, (5, 1, sum(SIZES))) * np.repeat((1, 0.6, 1.5), SIZES), sets=SETS).better.any()
    assert wrong <= scipy.stats.binom.ppf(0.99, 200, 0.05)


def test_the_interval_over_several_sets_covers():
    rng, covered = np.random.default_rng(5), 0
    for _ in range(200):
        scores = rng.normal(0, 1, (1, sum(SIZES)))
        found = intervals.interval(intervals.Sets.of(range(40), SETS).mean(scores), scores, sets=SETS)
        covered += found.low <= 0 <= found.high
    assert covered >= scipy.stats.binom.ppf(0.01, 200, 0.95)
    assert (found.n, found.over) == (40, "images")
