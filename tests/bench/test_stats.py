from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from bench.statistics import intervals
from benchmarks import uncertainty


def test_interval_over_seeds_is_students_t():
    seeds = [27.1, 27.9, 28.4, 26.8, 27.5]
    ours = intervals.interval(seeds, images=[1.0, 2.0])
    theirs = scipy.stats.ttest_1samp(seeds, 0).confidence_interval()
    assert (ours.n, ours.over) == (5, "seeds")
    assert ours.mean == pytest.approx(np.mean(seeds))
    assert (ours.low, ours.high) == pytest.approx(theirs)


@pytest.mark.parametrize("seeds", [3, 5])
def test_interval_over_images_and_seeds_covers(seeds):
    """Of the mean over all images and all trainings; over the seeds alone it would cover what three seeds say of these images."""
    rng, covered, alone = np.random.default_rng(seeds), [], []
    for _ in range(1500):
        scores = rng.normal(0, 1, 11) + rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 0.3, (seeds, 11))
        ours = intervals.interval(scores.mean(1), scores)
        covered.append(ours.low <= 0 <= ours.high)
        alone.append((of_seeds := intervals.interval(scores.mean(1))).low <= 0 <= of_seeds.high)
    assert (ours.over, ours.n) == ("images", 11)
    assert np.mean(covered) >= 0.94
    assert np.mean(alone) < 0.9


@pytest.mark.parametrize("n", [2, 3, 5])
def test_interval_over_few_seeds_covers(n):
    found = [intervals.interval(seeds) for seeds in np.random.default_rng(n).normal(27, 0.5, (1000, n))]
    assert np.mean([i.low <= 27 <= i.high for i in found]) >= 0.93


def test_interval_of_one_seed_is_over_its_images():
    images = np.random.default_rng(3).normal(30, 2, 200)
    ours = intervals.interval([images.mean()], images)
    assert (ours.n, ours.over) == (200, "images")
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * images.std() / 200**0.5, rel=0.1)
    assert ours.low < ours.mean < ours.high


def _covers(draw, truth, n, reps=4000):
    rng = np.random.default_rng([n, 7])
    found = [intervals.interval([scores.mean()], scores) for scores in draw(rng, (reps, n))]
    return np.mean([i.low <= truth <= i.high for i in found])


@pytest.mark.parametrize("n", [2, 5, 20, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 10, 50))])
def test_interval_over_few_images_covers_normal_and_lognormal_scores(n):
    """A percentile bootstrap covers .51, .75, .84, .90, .93, .94 of normal scores here."""
    assert _covers(lambda rng, shape: rng.normal(0, 1, shape), 0.0, n) >= 0.94
    assert _covers(lambda rng, shape: rng.lognormal(0, 1, shape), np.exp(0.5), n) >= 0.90


@pytest.mark.parametrize("sizes", [[10] * 5, [12, 9, 36], [2, 3, 5, 8, 13, 21], [1] * 5 + [10] * 5, [1] * 5 + [20]], ids=str)
def test_interval_counts_groups_of_images(sizes):
    """Tiles that share the luck of their photograph; tile by tile the interval covers about half as often."""
    rng, groups = np.random.default_rng(len(sizes)), np.repeat(np.arange(len(sizes)), sizes)
    covered, naive = [], []
    for _ in range(1500):
        scores = rng.normal(0, 1, len(sizes))[groups] + rng.normal(0, 0.5, len(groups))
        for found, ours in (
            (covered, intervals.interval([scores.mean()], scores, groups.tolist())),
            (naive, intervals.interval([scores.mean()], scores)),
        ):
            found.append(ours.low <= 0 <= ours.high)
    assert np.mean(covered) >= 0.93
    assert np.mean(naive) < 0.8


def test_groups_of_equal_size_are_their_means():
    scores = np.random.default_rng(0).normal(0, 1, 12)
    ours = intervals.interval([scores.mean()], scores, [f"photo{i // 3}" for i in range(12)])
    of_means = intervals.interval([scores.mean()], scores.reshape(4, 3).mean(1))
    assert (ours.n, ours.over, of_means.over) == (4, "groups", "images")
    assert (ours.low, ours.high) == pytest.approx((of_means.low, of_means.high))


def test_the_variance_of_a_mean_over_groups_is_the_cluster_robust_one():
    """Sum over groups of the squared sums of residuals over N^2, times n / (n - 1)."""
    rng, groups = np.random.default_rng(1), np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    scores = rng.normal(0, 1, 10)
    of = intervals.Groups.of(groups.tolist())
    values = of.spread_out(scores)
    assert values.mean() == pytest.approx(scores.mean())
    residual = scores - scores.mean()
    expected = sum(residual[groups == g].sum() ** 2 for g in range(4)) / 10**2 * 4 / 3
    assert of.error(values)[0][0] == pytest.approx(expected)


def test_hall_takes_the_skewness_out():
    """Hall (1992): t + g t^2 / 3 + g^2 t^3 / 27 + g / 6, g the skewness of the mean; limits and p belong together."""
    n, t, g = 12, 2.6, 0.4
    by_hand = t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6
    assert intervals.p_value(t, [(1.0, n - 1)], g) == pytest.approx(2 * scipy.stats.t.sf(t, n - 1))  # the larger p is Student's here
    assert intervals.p_value(-t, [(1.0, n - 1)], g) == pytest.approx(
        2 * scipy.stats.t.sf(2.6 - g * t**2 / 3 + g**2 * t**3 / 27 - g / 6, n - 1)
    )
    assert by_hand > t
    rng = np.random.default_rng(2)
    for mean, third in zip(rng.normal(2.2, 0.5, 50), rng.normal(0, 0.4, 50), strict=True):
        low, high = intervals.limits(mean, [(1.0, n - 1)], third)
        assert (intervals.p_value(mean, [(1.0, n - 1)], third) < 0.05) == (not low <= 0 <= high)


def test_errors_of_two_sources_add_up():
    """Welch's test is the sum of two variances with Satterthwaite's degrees of freedom."""
    a, b = np.random.default_rng(3).normal(0, 1, 4), np.random.default_rng(4).normal(1, 3, 7)
    parts = [(a.var(ddof=1) / 4, 3), (b.var(ddof=1) / 7, 6)]
    assert intervals.p_value(a.mean() - b.mean(), parts) == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_no_interval_where_the_score_is_not_the_mean_of_its_images():
    ours = intervals.interval([0.61], [0.5, 0.6, 0.7, 0.2])  # a pooled F1
    assert (ours.mean, ours.over) == (0.61, "nothing")
    assert np.isnan([ours.low, ours.high]).all()


def test_interval_with_an_infinite_seed_is_open():
    ours = intervals.interval([np.inf, 30.0])
    assert ours.mean == np.inf
    assert np.isnan(ours.low)


def test_intervals_stay_where_the_score_can_lie():
    cut = intervals.interval([0.2, 0.9]).within((0.0, 1.0))
    assert (cut.low, cut.mean, cut.high) == (0.0, pytest.approx(0.55), 1.0)
    assert np.isnan(intervals.interval([0.5]).within((0.0, 1.0)).low)


def test_the_page_has_every_simulated_section():
    page = (Path(__file__).parents[2] / "docs" / "uncertainty.md").read_text(encoding="utf-8")
    for section in uncertainty.SECTIONS:
        title, text, head, _ = section()
        assert f"## {title}\n\n{text}\n\n| {' | '.join(head)} |\n" in page
