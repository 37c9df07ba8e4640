import numpy as np
import pytest
import scipy.stats

from bench import stats


def test_interval_over_seeds_is_students_t():
    seeds = [27.1, 27.9, 28.4, 26.8, 27.5]
    ours = stats.interval(seeds, images=[1.0, 2.0])
    theirs = scipy.stats.ttest_1samp(seeds, 0).confidence_interval()
    assert (ours.n, ours.over) == (5, "seeds")
    assert ours.mean == pytest.approx(np.mean(seeds))
    assert (ours.low, ours.high) == pytest.approx(theirs)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_interval_over_few_seeds_covers(n):
    found = [stats.interval(seeds) for seeds in np.random.default_rng(n).normal(27, 0.5, (1000, n))]
    assert np.mean([i.low <= 27 <= i.high for i in found]) >= 0.93


def test_interval_of_one_seed_is_over_its_images():
    images = np.random.default_rng(3).normal(30, 2, 200)
    ours = stats.interval([images.mean()], images)
    assert (ours.n, ours.over) == (200, "images")
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * images.std() / 200**0.5, rel=0.08)


def test_no_interval_where_the_score_is_not_the_mean_of_its_images():
    ours = stats.interval([0.61], [0.5, 0.6, 0.7, 0.2])  # a pooled F1
    assert (ours.mean, ours.over) == (0.61, "nothing")
    assert np.isnan([ours.low, ours.high]).all()


def test_interval_with_an_infinite_seed_is_open():
    ours = stats.interval([np.inf, 30.0])
    assert ours.mean == np.inf
    assert np.isnan(ours.low)


@pytest.mark.parametrize(("raw", "adjusted"), [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.9], [1, 1]), ([0.02], [0.02]), ([], [])])
def test_holm_by_hand(raw, adjusted):
    assert stats.holm(raw).tolist() == pytest.approx(adjusted)


def test_six_pairs_are_the_fewest_that_can_decide():
    base = np.arange(6.0)
    result = stats.compare([base + np.arange(1, 7) / 10, base])
    assert result.p[0, 1] == pytest.approx(2 / 2**6)  # all differences have one sign
    assert result.better.tolist() == [[False, True], [False, False]]
    assert result.difference[0, 1] == pytest.approx(0.35)
    assert result.low[0, 1] == pytest.approx(-result.high[1, 0])
    refused = stats.compare([base[:5] + 1, base[:5]])
    assert not refused.better.any()
    assert refused.reason.startswith("no verdict: 5 images")


def test_lower_can_be_better():
    errors = np.random.default_rng(0).random((2, 20)) + np.array([[0], [1]])
    assert stats.compare(errors, higher_is_better=False).better.tolist() == [[False, True], [False, False]]


def test_wilcoxon_is_holm_corrected_over_all_pairs():
    rows = np.random.default_rng(1).normal(0, 1, (3, 15)) + np.array([[0.9], [0.4], [0.0]])
    raw = [scipy.stats.wilcoxon(rows[i] - rows[j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    p = stats.compare(rows).p
    assert [p[0, 1], p[0, 2], p[1, 2]] == pytest.approx(stats.holm(raw))


@pytest.mark.parametrize("n", [1, 2, 6, 9, 13, 14, 40])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_wilcoxon_with_ties_and_zeros_is_scipys(n, digits):
    differences = np.random.default_rng(n).normal(0.3, 1, (9, n)).round(digits)
    differences[0] = 0
    expected = [scipy.stats.wilcoxon(d[d != 0]).pvalue if d.any() else 1 for d in differences]
    assert stats._wilcoxon(differences).tolist() == pytest.approx(expected, rel=1e-12)


def test_seeds_are_welch_tested():
    images = np.random.default_rng(2).normal(0, 1, 50)
    a, b = np.array([0.0, 0.3, 0.9]), np.array([-0.4, 0.2, 0.1, 0.0])
    p = stats.compare([a[:, None] + images, b[:, None] + images]).p[0, 1]
    assert p == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)  # larger than Wilcoxon's: the images agree to the last


def test_one_seed_against_several_is_a_one_sample_test():
    images = np.random.default_rng(2).normal(0, 1, 50)
    a = np.array([0.1, 0.5, 0.6])
    p = stats.compare([a[:, None] + images, images]).p[0, 1]
    assert p == pytest.approx(scipy.stats.ttest_1samp(a, 0).pvalue)


def test_the_same_seeds_are_paired_in_whatever_order():
    rng = np.random.default_rng(10)
    of_seed, images = rng.normal(0, 1, (4, 1)), rng.normal(0, 1, 50)
    a, b = (of_seed + shift + rng.normal(0, 0.3, (4, 1)) + images for shift in (0.5, 0.0))
    paired = scipy.stats.ttest_rel(a.mean(1), b.mean(1)).pvalue
    assert stats.compare([a, b], seeds=[[0, 1, 2, 3]] * 2).p[0, 1] == pytest.approx(paired)
    turned = stats.compare([a, b[::-1]], seeds=[[0, 1, 2, 3], [3, 2, 1, 0]])
    assert turned.p[0, 1] == pytest.approx(paired)
    others = stats.compare([a, b], seeds=[[0, 1, 2, 3], [0, 1, 2, 4]])
    assert others.p[0, 1] == pytest.approx(scipy.stats.ttest_ind(a.mean(1), b.mean(1), equal_var=False).pvalue)
    assert turned.high[0, 1] - turned.low[0, 1] < 0.7 * (others.high[0, 1] - others.low[0, 1])
    assert stats.compare([a + 1, a], seeds=[[0, 1, 2, 3]] * 2).p[0, 1] < 1e-6  # no spread at all, and a difference
    assert stats.compare([a, a], seeds=[[0, 1, 2, 3]] * 2).p[0, 1] == 1


def _pair(rng, seeds, difference=0.0):
    """Two rows of the same seeds: seed effects of sd 1 in common, noise of 0.1 a run, twenty images."""
    shared = rng.normal(0, 1, (seeds, 1)) + rng.normal(0, 2, 20)
    return [shared + shift + rng.normal(0, 0.1, (seeds, 1)) + rng.normal(0, 0.1, (seeds, 20)) for shift in (difference, 0.0)]


def test_paired_seeds_find_what_the_luck_of_seeds_hides():
    rng, ids = np.random.default_rng(11), [list(range(6))] * 2
    pairs = [_pair(rng, 6, 0.3) for _ in range(40)]
    assert sum(stats.compare(p, seeds=ids).better[0, 1] for p in pairs) >= 36
    assert sum(stats.compare(p).better[0, 1] for p in pairs) <= 4


@pytest.mark.parametrize("seeds", [3, 6])
def test_paired_seeds_rarely_err_under_the_null(seeds):
    rng = np.random.default_rng(12)
    wrong = sum(stats.compare(_pair(rng, seeds), seeds=[list(range(seeds))] * 2).better.any() for _ in range(200))
    assert wrong <= scipy.stats.binom.ppf(0.99, 200, 0.05)


def test_equal_rows_tie_and_missing_images_are_left_out_for_all():
    base = np.random.default_rng(4).normal(30, 2, 12)
    holed = base.copy()
    holed[3] = np.nan
    same = stats.compare([base, holed])
    assert (same.n, same.p[0, 1], same.better.any()) == (11, 1.0, False)
    perfect = stats.compare([np.full(8, np.inf), np.full(8, np.inf), np.arange(8.0)])
    assert perfect.p[0, 1] == 1
    assert perfect.difference[0, 1] == 0


@pytest.mark.parametrize(("seeds", "images", "seed_spread"), [(1, 15, 0.0), (3, 20, 0.5)])
def test_null_rows_are_rarely_called_better(seeds, images, seed_spread):
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(150):
        shared = rng.normal(0, 2, images)
        rows = [shared + rng.normal(0, 1, (seeds, images)) + rng.normal(0, seed_spread, (seeds, 1)) for _ in range(3)]
        wrong += stats.compare(rows).better.any()
    assert wrong <= scipy.stats.binom.ppf(0.99, 150, 0.05)


def test_power_where_the_difference_is_real():
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(50):
        shared = rng.normal(0, 3, 20)  # pairing takes this out
        found += stats.compare([shared + 1 + rng.normal(0, 0.5, 20), shared + rng.normal(0, 0.5, 20)]).better[0, 1]
    assert found >= 48


def test_ranks_without_the_mean_are_not_enough():
    """Twenty small gains and one great loss: Wilcoxon's test rejects, the interval of the difference in means holds zero."""
    base = np.arange(21.0)
    rows = [base + 0.1 + base / 1000, base]
    rows[0][20] -= 10
    result = stats.compare(rows)
    assert result.p[0, 1] < 0.05
    assert result.low[0, 1] < 0 < result.high[0, 1]
    assert not result.better.any()


def test_a_report_is_the_same_every_time():
    rows = np.random.default_rng(8).normal(0, 1, (2, 3, 9))
    first, second = stats.compare(list(rows)), stats.compare(list(rows))
    assert np.array_equal(first.low, second.low)


def test_tie_letters():
    chain = np.zeros((4, 4), bool)
    chain[0, 2] = chain[0, 3] = chain[1, 3] = True  # neighbours tie, others differ
    assert stats.tie_letters(chain | chain.T) == ["a", "ab", "bc", "c"]
    assert stats.tie_letters(np.zeros((3, 3))) == ["a", "a", "a"]
    assert stats.tie_letters(~np.eye(3, dtype=bool)) == ["a", "b", "c"]
    assert stats.tie_letters(~np.eye(28, dtype=bool))[25:] == ["z", "(27)", "(28)"]


def test_rows_share_a_letter_exactly_when_they_tie():
    rng = np.random.default_rng(9)
    for _ in range(30):
        different = np.triu(rng.random((7, 7)) < 0.5, 1)
        different |= different.T
        letters = stats.tie_letters(different)
        for i in range(7):
            for j in range(7):
                assert bool(set(letters[i]) & set(letters[j])) == (i == j or not different[i, j])


@pytest.mark.parametrize(("rows", "images", "told"), [(10, 8, True), (10, 11, False), (2, 6, False), (2, 5, True)])
def test_too_few_for_holm_is_said(rows, images, told):
    """45 pairs of rows need p < 0.05 / 45, and eight images reach 2 / 2^8."""
    scores = [np.arange(images) * 0.01 + 10.0 * row for row in range(rows)]
    result = stats.compare(scores, higher_is_better=True)
    assert bool(result.reason) == told
    assert result.better.any() != told
    if rows == 10 and told:
        assert result.reason == "no verdict: 8 images scored by every row, too few for any p < 0.05 after Holm's correction for 45 pairs of rows"
