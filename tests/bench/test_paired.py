import numpy as np
import pytest
import scipy.stats

from bench.statistics import paired, signed_ranks


@pytest.mark.parametrize(("raw", "adjusted"), [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.9], [1, 1]), ([0.02], [0.02]), ([], [])])
def test_holm_by_hand(raw, adjusted):
    assert paired.holm(raw).tolist() == pytest.approx(adjusted)


def test_images_are_compared_by_students_t():
    a, b = np.random.default_rng(1).normal(0, 1, (2, 15)) + np.array([[0.9], [0.0]])
    b = 2 * a.mean() - a - 1.1  # the differences are symmetric about their mean: no skewness to take out
    found = paired.compare([a, b])
    theirs = scipy.stats.ttest_rel(a, b)
    assert found.p[0, 1] >= theirs.pvalue
    a, b = np.linspace(0, 1, 15) + 0.4, np.zeros(15)
    found, theirs = paired.compare([a, b]), scipy.stats.ttest_rel(a, b)
    assert found.p[0, 1] == pytest.approx(theirs.pvalue)
    assert (found.low[0, 1], found.high[0, 1]) == pytest.approx(theirs.confidence_interval())
    assert found.difference[0, 1] == pytest.approx(0.9)


def test_six_images_are_the_fewest_that_can_decide():
    base = np.arange(6.0)
    result = paired.compare([base + np.arange(1, 7) / 10, base])
    assert result.better.tolist() == [[False, True], [False, False]]
    assert result.difference[0, 1] == pytest.approx(0.35)
    assert result.low[0, 1] == pytest.approx(-result.high[1, 0])
    refused = paired.compare([base[:5] + 1, base[:5]])
    assert not refused.better.any()
    assert refused.reason == "no verdict: 5 independent images scored by every row, and a test asks for 6"


def test_tiles_of_few_photographs_give_no_verdict():
    """Fifty-seven tiles of three photographs, one of which decides: p = .008 tile by tile."""
    groups = [f"photo{i}" for i in np.repeat([0, 1, 2], [12, 9, 36])]
    base, gain = np.random.default_rng(0).normal(30, 3, 57), np.repeat([0.04, 0.01, 0.70], [12, 9, 36])
    found = paired.compare([base + gain, base], groups=groups)
    assert (found.n, found.groups, found.better.any()) == (57, 3, False)
    assert found.reason.startswith("no verdict: 3 independent images")
    assert paired.compare([base + gain, base]).better[0, 1]


def test_p_is_holm_corrected_over_all_pairs():
    rows = [np.linspace(0, 1, 15) * slope + shift for slope, shift in ((1, 0.9), (-1, 1.2), (0, 0.5))]
    raw = [paired.compare([rows[i], rows[j]]).p[0, 1] for i, j in ((0, 1), (0, 2), (1, 2))]
    p = paired.compare(rows).p
    assert [p[0, 1], p[0, 2], p[1, 2]] == pytest.approx(paired.holm(raw))


def test_seeds_are_welch_tested_where_images_agree():
    images = np.random.default_rng(2).normal(0, 1, 50)
    a, b = np.array([0.0, 0.3, 0.9]), np.array([-0.4, 0.2, 0.1, 0.0])
    p = paired.compare([a[:, None] + images, b[:, None] + images]).p[0, 1]
    assert p == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)
    p = paired.compare([a[:, None] + images, paired.ScoredRow(images, trained=False)]).p[0, 1]
    assert p == pytest.approx(scipy.stats.ttest_1samp(a, 0).pvalue)


def test_the_errors_of_images_and_seeds_add_up():
    rng = np.random.default_rng(13)
    a, b = rng.normal(0.5, 1, (3, 20)) + rng.normal(0, 0.3, (3, 1)), rng.normal(0, 1, (4, 20))
    gain = a.mean(0) - b.mean(0)
    variances = np.array([gain.var(ddof=1) / 20, a.mean(1).var(ddof=1) / 3, b.mean(1).var(ddof=1) / 4])
    freedom = variances.sum() ** 2 / (variances**2 / [19, 2, 3]).sum()
    half = scipy.stats.t.ppf(0.975, freedom) * variances.sum() ** 0.5
    found = paired.compare([a, b])
    assert max(found.high[0, 1] - gain.mean(), gain.mean() - found.low[0, 1]) >= half * (1 - 1e-9)
    assert found.high[0, 1] - found.low[0, 1] == pytest.approx(2 * half, rel=0.1)  # but for the skewness


def test_scores_without_images_are_welch_tested_over_seeds():
    """A difference of a dozen standard deviations between three seeds each is found, as it is not by ranks of six."""
    wgan_gp, dcgan = [98.1, 100.2, 102.3], [141.0, 144.1, 147.2]
    found = paired.compare([wgan_gp, dcgan], over="seeds", higher_is_better=False)
    assert found.p[0, 1] == pytest.approx(scipy.stats.ttest_ind(wgan_gp, dcgan, equal_var=False).pvalue)
    assert (found.n, found.better[0, 1]) == (3, True)
    alone = paired.compare([[1.0], [2.0]], over="seeds")
    assert alone.reason == "no verdict: one seed a row, and nobody knows how far from it another would be"
    assert not paired.compare([[1.0], [2.0, 2.1], [5.0, 5.1]], over="seeds").better[0].any()


def test_a_single_seed_has_the_error_of_its_samples():
    """Two distances of 500 samples, ten shares each: Welch's test with nine degrees of freedom on either side."""
    rows = [paired.ScoredRow([100.0], error=3.0), paired.ScoredRow([120.0], error=4.0)]
    found = paired.compare(rows, over="seeds", higher_is_better=False)
    assert found.p[0, 1] == pytest.approx(2 * scipy.stats.t.sf(20 / 5, 25**2 / (81 / 9 + 256 / 9)))
    assert found.better[0, 1]
    assert not paired.compare([*rows, paired.ScoredRow([500.0])], over="seeds").better[2].any()  # of that nobody knows


def test_rows_without_spread_over_seeds():
    """What is not trained is what it is; a count that three trained seeds agree on may yet be luck."""
    assert paired.compare([[8, 8, 8], [7, 7, 7]], over="seeds").p[0, 1] == pytest.approx(0.1)  # 2 / C(6, 3)
    assert paired.compare([paired.ScoredRow(scores, trained=False) for scores in ([8, 8, 8], [7, 7, 7])], over="seeds").better[0, 1]
    assert paired.compare([paired.ScoredRow(scores, trained=False) for scores in ([8], [7])], over="seeds").better[0, 1]
    assert paired.compare([paired.ScoredRow([8, 8], trained=False)] * 2, over="seeds").p[0, 1] == 1


def _of_seeds(scores, *seeds):
    return paired.compare([paired.ScoredRow(*row) for row in zip(scores, seeds, strict=True)])


def test_six_seeds_that_both_rows_have_are_paired_in_whatever_order():
    rng, ids = np.random.default_rng(10), [0, 1, 2, 3, 4, 5]
    of_seed, images = rng.normal(0, 1, (6, 1)), rng.normal(0, 1, 50)
    a, b = (of_seed + shift + rng.normal(0, 0.3, (6, 1)) + images for shift in (0.5, 0.0))
    p = scipy.stats.ttest_rel(a.mean(1), b.mean(1)).pvalue
    assert _of_seeds([a, b], ids, ids).p[0, 1] == pytest.approx(p)
    assert _of_seeds([a, b[::-1]], ids, ids[::-1]).p[0, 1] == pytest.approx(p)
    welch = scipy.stats.ttest_ind(a.mean(1), b.mean(1), equal_var=False).pvalue
    assert _of_seeds([a, b], ids, [*ids[:5], 6]).p[0, 1] == pytest.approx(welch)
    few = scipy.stats.ttest_ind(a[:5].mean(1), b[:5].mean(1), equal_var=False).pvalue
    assert _of_seeds([a[:5], b[:5]], ids[:5], ids[:5]).p[0, 1] == pytest.approx(few)


def test_equal_rows_tie_and_missing_images_are_left_out_for_all():
    base = np.random.default_rng(4).normal(30, 2, 12)
    holed = base.copy()
    holed[3] = np.nan
    same = paired.compare([base, holed])
    assert (same.n, same.p[0, 1], same.better.any()) == (11, 1.0, False)


def test_infinite_scores_are_compared_by_ranks():
    """A perfect picture and seven that are better by a hair: Wilcoxon's smallest p, and the difference over the seven."""
    base = np.linspace(27, 29, 8)
    perfect, worse = base + np.arange(8) / 100, base - 0.02
    perfect[0] = np.inf
    found = paired.compare([worse, perfect])
    assert found.p[0, 1] == pytest.approx(2 / 2**8)
    assert found.better.tolist() == [[False, False], [True, False]]
    assert found.difference[1, 0] == pytest.approx((perfect - worse)[1:].mean())
    whole = paired.compare([np.full(8, np.inf), np.full(8, np.inf), base])
    assert whole.p[0, 1] == 1
    assert whole.difference[0, 1] == 0
    assert whole.better[0].tolist() == [False, False, True]


def test_infinite_scores_of_lucky_seeds_do_not_decide():
    base = np.linspace(27, 29, 8)
    perfect, worse = np.stack([base + 3, base - 2.9]), np.stack([base - 3, base + 2.9])
    perfect[0, 0] = np.inf
    assert paired.compare([perfect[:1], worse[:1]]).better[0, 1]
    assert not paired.compare([perfect, worse]).better.any()


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(
    "spread", [[1.0] * 6, [1.0, 1.0, 1.0, 0.05, 0.05, 0.05], [1.0, 0.1, 0.1, 0.1, 0.1, 0.1]], ids=["alike", "halves", "one"]
)
def test_seeds_of_rows_that_are_alike_are_rarely_told_apart(seeds, spread):
    rng = np.random.default_rng(seeds)
    rows = rng.normal(0, 1, (400, 6, seeds)) * np.array(spread)[:, None]
    wrong = sum(paired.compare(list(scores), over="seeds").better.any() for scores in rows)
    assert wrong <= scipy.stats.binom.ppf(0.99, 400, 0.05)


def test_one_seed_is_about_its_weights():
    """Seeds that spread half as much as the images: the weights differ, whatever the methods do; three seeds tell."""
    rng = np.random.default_rng(5)

    def wrong(seeds):
        rows = [[rng.normal(0, 1, (seeds, 100)) + rng.normal(0, 0.5, (seeds, 1)) for _ in range(2)] for _ in range(300)]
        return sum(paired.compare(pair).better.any() for pair in rows)

    assert wrong(1) > 150
    assert wrong(3) <= scipy.stats.binom.ppf(0.99, 300, 0.05)


def test_a_great_loss_outweighs_small_gains():
    """Twenty small gains and one great loss: ranks say better, the mean says nothing."""
    base = np.arange(21.0)
    rows = [base + 0.1 + base / 1000, base]
    rows[0][20] -= 10
    result = paired.compare(rows)
    assert signed_ranks.wilcoxon((rows[0] - rows[1])[None])[0] < 0.05
    assert result.low[0, 1] < 0 < result.high[0, 1]
    assert not result.better.any()


def test_lower_can_be_better():
    errors = np.random.default_rng(0).random((2, 20)) + np.array([[0], [1]])
    assert paired.compare(errors, higher_is_better=False).better.tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("n", [1, 2, 6, 9, 13, 14, 40])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_wilcoxon_with_ties_and_zeros_is_scipys(n, digits):
    differences = np.random.default_rng(n).normal(0.3, 1, (9 if n < 13 else 3, n)).round(digits)
    differences[0] = 0
    expected = [scipy.stats.wilcoxon(d[d != 0]).pvalue if d.any() else 1 for d in differences]
    assert signed_ranks.wilcoxon(differences).tolist() == pytest.approx(expected, rel=1e-12)


def test_tie_letters():
    chain = np.zeros((4, 4), bool)
    chain[0, 2] = chain[0, 3] = chain[1, 3] = True  # neighbours tie, others differ
    assert paired.tie_letters(chain | chain.T) == ["a", "ab", "bc", "c"]
    assert paired.tie_letters(np.zeros((3, 3))) == ["a", "a", "a"]
    assert paired.tie_letters(~np.eye(3, dtype=bool)) == ["a", "b", "c"]
    assert paired.tie_letters(~np.eye(28, dtype=bool))[25:] == ["z", "(27)", "(28)"]


def test_rows_share_a_letter_exactly_when_they_tie():
    rng = np.random.default_rng(9)
    for _ in range(30):
        different = np.triu(rng.random((7, 7)) < 0.5, 1)
        different |= different.T
        letters = paired.tie_letters(different)
        for i in range(7):
            for j in range(7):
                assert bool(set(letters[i]) & set(letters[j])) == (i == j or not different[i, j])


def test_power_where_the_difference_is_real():
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(50):
        shared = rng.normal(0, 3, 20)  # pairing takes this out
        found += paired.compare([shared + 1 + rng.normal(0, 0.5, 20), shared + rng.normal(0, 0.5, 20)]).better[0, 1]
    assert found >= 48


@pytest.mark.parametrize(("seeds", "images", "seed_spread"), [(1, 15, 0.0), (3, 20, 0.5)])
def test_null_rows_are_rarely_called_better(seeds, images, seed_spread):
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(150):
        shared = rng.normal(0, 2, images)
        rows = [shared + rng.normal(0, 1, (seeds, images)) + rng.normal(0, seed_spread, (seeds, 1)) for _ in range(3)]
        wrong += paired.compare(rows).better.any()
    assert wrong <= scipy.stats.binom.ppf(0.99, 150, 0.05)


def _pair(rng, seeds, difference=0.0):
    """Two rows of the same seeds: seed effects of sd 1 in common, noise of 0.1 a run, twenty images."""
    shared = rng.normal(0, 1, (seeds, 1)) + rng.normal(0, 2, 20)
    return [shared + shift + rng.normal(0, 0.1, (seeds, 1)) + rng.normal(0, 0.1, (seeds, 20)) for shift in (difference, 0.0)]


def test_paired_seeds_find_what_the_luck_of_seeds_hides():
    rng, ids = np.random.default_rng(11), [list(range(6))] * 2
    pairs = [_pair(rng, 6, 0.3) for _ in range(40)]
    assert sum(_of_seeds(p, *ids).better[0, 1] for p in pairs) >= 36
    assert sum(paired.compare(p).better[0, 1] for p in pairs) <= 4


@pytest.mark.parametrize("seeds", [3, 6])
def test_paired_seeds_rarely_err_under_the_null(seeds):
    rng = np.random.default_rng(12)
    wrong = sum(_of_seeds(_pair(rng, seeds), range(seeds), range(seeds)).better.any() for _ in range(200))
    assert wrong <= scipy.stats.binom.ppf(0.99, 200, 0.05)
