import math

import numpy as np
import pytest
import scipy.stats

from bench.statistics import across_workloads

ALLOWED = scipy.stats.binom.ppf(0.99, 300, 0.05)  # errors in 300 null cases of a test at 5 %


def test_the_common_scale_by_hand():
    rows = [[4.0, 4.0, 5.0], [2.0, 2.0, 3.0], [1.0, 0.0, -9.0]]  # medians 4, 2, 0
    by_hand = [[1, 1, 1.25], [0.5, 0.5, 0.75], [0.25, 0, -2.25]]
    assert [r.tolist() for r in across_workloads.normalise(rows, higher_is_better=True)] == by_hand
    upside_down = across_workloads.normalise([[-v for v in r] for r in rows], higher_is_better=False)
    assert [r.tolist() for r in upside_down] == by_hand


def test_rows_that_tie_at_the_best_leave_the_others_their_place():
    tied = across_workloads.normalise([[1.0], [1.0], [0.9], [0.5], [np.nan]], higher_is_better=True)
    assert np.concatenate(tied) == pytest.approx([1, 1, 0.8, 0, -1])


def test_the_common_scale_knows_divergence_and_rows_that_are_all_alike():
    scores = across_workloads.normalise([[1.0, np.nan], [2.0, 4.0, 3.0], [5.0, 7.0, 9.0], [np.inf, np.inf]], higher_is_better=False)
    assert [s.tolist() for s in scores] == [[1.5, -1.5], [1.25, 0.75, 1], [0.5, 0, -0.5], [-1.5, -1.5]]  # worst run -0.5: diverged is -1.5
    assert [s.tolist() for s in across_workloads.normalise([[1.0], [1.0, np.nan, 1.0]], higher_is_better=True)] == [[1], [1, 0, 1]]
    assert [s.tolist() for s in across_workloads.normalise([[np.inf], [30.0], [20.0]], higher_is_better=True)] == [[1], [1], [0]]
    assert [s.tolist() for s in across_workloads.normalise([[-np.inf], [np.nan]], higher_is_better=True)] == [[0], [0]]


def test_iqm_is_the_mean_of_the_middle_half():
    runs = np.arange(12.0)
    runs[-1] = 1e9
    assert across_workloads.iqm(runs.reshape(3, 4)).mean == pytest.approx(np.mean([3, 4, 5, 6, 7, 8]))
    assert (across_workloads.iqm(runs.reshape(3, 4)).n, across_workloads.iqm(runs.reshape(12, 1)).over) == (12, "nothing")
    assert math.isnan(across_workloads.iqm(runs.reshape(12, 1)).low)


def test_iqm_resamples_seeds_within_workloads():
    apart = [np.full(4, level) for level in (0.0, 10.0, 20.0)]  # between workloads only: nothing to resample
    assert (across_workloads.iqm(apart).low, across_workloads.iqm(apart).high) == (10, 10)
    rng = np.random.default_rng(0)
    workloads = [rng.normal(level, 1, 20) for level in (0, 0.1, 0.2)]
    ours = across_workloads.iqm(workloads)

    def statistic(*samples, axis):
        return scipy.stats.trim_mean(np.concatenate(np.broadcast_arrays(*samples), axis=axis), 0.25, axis=axis)

    theirs = scipy.stats.bootstrap(workloads, statistic, method="basic", n_resamples=4000, vectorized=True, rng=1).standard_error
    half = scipy.stats.t.ppf(0.975, (60 - 3) / 2) * theirs * (20 / 19) ** 0.5
    assert (ours.low, ours.high) == pytest.approx((ours.mean - half, ours.mean + half), abs=0.02)


@pytest.mark.parametrize(("workloads", "seeds"), [(3, 2), (6, 3), (12, 3), (5, 10)])
def test_the_interval_of_iqm_covers(workloads, seeds):
    """A percentile bootstrap covers .77, .88, .85, .92 here."""
    rng, level = np.random.default_rng(1), np.linspace(-1, 1, workloads)[:, None]
    missed = sum(not (i.low <= 0 <= i.high) for i in (across_workloads.iqm(rng.normal(level, 0.2, (workloads, seeds))) for _ in range(200)))
    assert missed <= scipy.stats.binom.ppf(0.99, 200, 0.05)


def test_improvement_is_mann_whitneys_u_averaged_over_workloads():
    rng = np.random.default_rng(2)
    a, b = [rng.integers(0, 6, 7).astype(float) for _ in range(3)], [rng.integers(0, 5, 5).astype(float) for _ in range(3)]
    theirs = np.mean([scipy.stats.mannwhitneyu(x, y).statistic / 35 for x, y in zip(a, b)])
    assert across_workloads.improvement(a, b).mean == pytest.approx(theirs)
    assert across_workloads.improvement([-x for x in a], [-x for x in b]).mean == pytest.approx(1 - theirs)
    ours = across_workloads.improvement(a, b)
    assert ours.low < ours.mean < ours.high
    one_seed = across_workloads.improvement([[1.0], [1.0]], [[0.0], [2.0]])
    assert (one_seed.mean, one_seed.over) == (0.5, "nothing")
    always = across_workloads.improvement(np.ones((4, 3)), np.zeros((4, 3)))
    assert (always.low, always.mean, always.high) == (pytest.approx(0.025 ** (1 / 12)), 1, 1)


def test_nobody_improves_under_the_null():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(100):
        i = across_workloads.improvement(rng.normal(0, 1, (8, 10)), rng.normal(0, 1, (8, 10)))
        wrong += not i.low <= 0.5 <= i.high
    assert wrong <= scipy.stats.binom.ppf(0.99, 100, 0.05)


@pytest.mark.parametrize(("k", "q"), list(enumerate([1.960, 2.344, 2.569, 2.728, 2.850, 2.948, 3.031, 3.102, 3.164], 2)))
def test_demsars_table(k, q):
    assert across_workloads.nemenyi_q(k) == pytest.approx(q, abs=1e-3)


def test_ranks_are_friedmans():
    scores = np.random.default_rng(4).normal(0, 1, (14, 4)) + np.array([0, 0.5, 1, 2])
    ranks = across_workloads.rank(scores)
    assert ranks.p == pytest.approx(scipy.stats.friedmanchisquare(*scores.T).pvalue)
    assert ranks.critical == pytest.approx(1.25, abs=0.005)  # Demsar's example of four on fourteen
    assert ranks.mean.sum() == pytest.approx(10)
    assert ranks.different[0, 3]
    assert not ranks.different.diagonal().any()


def test_who_diverged_is_last_and_shares_the_place():
    ranks = across_workloads.rank([[3.0, np.nan, np.nan, 1.0]] * 6)
    assert ranks.mean.tolist() == [1, 3.5, 3.5, 2]
    assert across_workloads.rank([[-np.inf, 2.0, -np.inf]] * 6).mean.tolist() == [2.5, 1, 2.5]


def test_cliques_are_maximal_runs_of_neighbours():
    different = np.zeros((5, 5), bool)
    for i, j in ((0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4), (3, 4)):
        different[i, j] = different[j, i] = True
    shuffled = [3, 0, 4, 1, 2]
    ranks = across_workloads.Ranks(np.arange(5.0)[shuffled], 0.01, 1.0, different[np.ix_(shuffled, shuffled)], 9)
    assert [[shuffled[i] for i in c] for c in ranks.cliques] == [[0, 1], [1, 2], [2, 3]]


@pytest.mark.parametrize("shape", [(5, 4), (8, 2)])
def test_no_verdict_on_too_little(shape):
    ranks = across_workloads.rank(np.arange(np.prod(shape)).reshape(shape).astype(float))
    assert ranks.reason.startswith("no verdict: ")
    assert math.isnan(ranks.p)
    assert not ranks.different.any()
    assert ranks.cliques == [list(range(shape[1]))[::-1]]  # nothing differs: one bar over all, best first


def test_equal_rows_do_not_differ():
    assert across_workloads.rank(np.ones((6, 4))).p == 1


@pytest.mark.parametrize(("workloads", "rows"), [(6, 3), (8, 5), (12, 10)])
def test_nemenyi_rarely_errs_under_the_null(workloads, rows):
    rng = np.random.default_rng(5)
    wrong = sum(across_workloads.rank(rng.normal(0, 1, (workloads, rows))).different.any() for _ in range(300))
    assert wrong <= ALLOWED


def test_profile_by_hand_and_its_score_by_integration():
    times = np.array([[10.0, 30.0, np.inf, np.inf], [20.0, 10.0, 5.0, np.inf], [35.0, 90.0, 5.5, np.inf]])
    profile = across_workloads.profile(times)
    assert profile.ratio.tolist() == [[1, 3, np.inf, np.inf], [2, 1, 1, np.inf], [3.5, 9, 1.1, np.inf]]
    assert profile.share([1, 2, 4]).tolist() == [[0.25, 0.25, 0.5], [0.5, 0.75, 0.75], [0, 0.25, 0.5]]
    tau = np.linspace(1, across_workloads.R_MAX, 200_001)
    assert profile.score == pytest.approx(np.trapezoid(profile.share(tau), tau) / (across_workloads.R_MAX - 1), abs=1e-5)


def test_time_to_result_takes_misses_along():
    assert across_workloads.time_to_result([[5, 9, np.inf], [np.inf, 7, 8], [np.inf, np.inf, np.inf]]) == 7
    assert across_workloads.time_to_result([[5], [np.inf], [np.inf]]) == np.inf


def test_speed_up_is_a_geometric_mean_over_targets_that_both_reached():
    assert across_workloads.speed_up([1, 4, np.inf, 3], [2, 2, 5, np.inf]) == (pytest.approx(1), 2)
    assert across_workloads.speed_up([1.0], [8.0]) == (pytest.approx(8), 1)
    assert across_workloads.speed_up([np.inf], [1.0])[1] == 0


def test_a_report_is_the_same_every_time():
    runs = np.random.default_rng(6).normal(0, 1, (3, 5))
    assert across_workloads.iqm(runs) == across_workloads.iqm(runs)
    assert across_workloads.improvement(runs, runs + 1) == across_workloads.improvement(runs, runs + 1)
