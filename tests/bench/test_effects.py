import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats

from bench.statistics import effects

ALLOWED = scipy.stats.binom.ppf(0.99, 300, 0.05)  # errors in 300 null cases of a test at 5 %


def test_cliffs_delta():
    assert effects.cliffs_delta([1, 2, -3, 0]) == 0.25
    assert effects.cliffs_delta([-np.inf, -1]) == -1


def test_detectable_effect_is_that_of_the_power_tables():
    assert effects.detectable_difference(1, 64) < 0.5 < effects.detectable_difference(1, 63)  # d = 0.5 at 80 % asks for 64 in either group
    assert effects.detectable_difference(2, 64) == pytest.approx(2 * effects.detectable_difference(1, 64))
    assert effects.detectable_difference(1, 1) == math.inf


def test_detectable_effect_is_detected():
    rng = np.random.default_rng(0)
    shift = effects.detectable_difference(1, 5, power=0.7)
    found = scipy.stats.ttest_ind(rng.normal(shift, 1, (5, 4000)), rng.normal(0, 1, (5, 4000))).pvalue < 0.05
    assert found.mean() == pytest.approx(0.7, abs=0.02)


def test_a_planted_variance_is_recovered():
    rng = np.random.default_rng(1)
    planted = effects.Variance(training=0.5, image=2.0, residual=1.0)
    found = []
    for _ in range(3000):
        y = (
            rng.normal(0, planted.training**0.5, (6, 1))
            + rng.normal(0, planted.image**0.5, 20)
            + rng.normal(0, planted.residual**0.5, (6, 20))
        )
        found.append(dataclasses.astuple(effects.variance(y)))
    assert np.mean(found, axis=0) == pytest.approx(dataclasses.astuple(planted), rel=0.04)


def test_variance_by_hand():
    found = effects.variance([[1, 2], [3, 6]])  # mean squares: training 9, image 4, residual 1
    assert (found.training, found.image, found.residual) == (4, 1.5, 1)


def test_variance_of_seeds_alone_and_of_one_seed():
    seeds = np.array([1.0, 2.0, 4.0, 8.0])
    only = effects.variance(seeds[:, None])
    assert only.training == pytest.approx(seeds.var(ddof=1))
    assert np.isnan([only.image, only.residual]).all()
    assert math.isnan(effects.variance(np.arange(5.0)[None]).training)


def test_anova_against_least_squares():
    rng = np.random.default_rng(3)
    shape = (3, 4, 2, 5)
    y = rng.normal(0, 1, shape) + np.arange(3)[:, None, None, None] + rng.normal(0, 1, (3, 4, 1, 1)) + rng.normal(0, 1, 5)
    codes = [c.ravel() for c in np.indices(shape)]

    def squares(*factors):
        """Residual sum of squares of the full dummy design of all the factors' interactions."""
        columns = [np.ones(y.size)]
        for chosen in factors:
            cells = np.stack([codes[i] for i in chosen])
            columns += [(cells == np.array(level)[:, None]).all(0) for level in itertools.product(*(range(shape[i]) for i in chosen))]
        design = np.stack(columns, 1).astype(float)
        return float(((y.ravel() - design @ np.linalg.lstsq(design, y.ravel(), rcond=None)[0]) ** 2).sum())

    found = {e.name: e for e in effects.anova(y, ["a", "b", "c"])}
    assert found["a"].squares == pytest.approx(squares() - squares((0,)))
    assert found["a x b"].squares == pytest.approx(squares((0,), (1,)) - squares((0, 1)))
    assert found["higher interactions"].squares == pytest.approx(squares((0, 1), (0, 2), (1, 2)) - squares((0, 1, 2)))
    assert found["residual"].squares == pytest.approx(squares((0, 1, 2), (3,)))
    assert [e.freedom for e in found.values()] == [2, 3, 1, 6, 2, 3, 6, 4, 92]
    assert sum(e.share for e in found.values()) == pytest.approx(1)
    one_way = scipy.stats.f.sf(found["a"].squares / 2 / (found["residual"].squares / 92), 2, 92)
    assert found["a"].p == pytest.approx(one_way)


def test_anova_of_one_seed_tests_nothing():
    lines = effects.anova(np.random.default_rng(4).normal(0, 1, (3, 4, 1)), ["a", "b"])
    assert all(math.isnan(e.p) for e in lines)
    assert [e.name for e in lines] == ["a", "b", "a x b", "seed", "residual"]
    assert sum(e.share for e in lines) == pytest.approx(1)


def test_anova_rarely_errs_under_the_null():
    rng = np.random.default_rng(5)
    p = np.array([[e.p for e in effects.anova(rng.normal(0, 1, (3, 4, 3)) + rng.normal(0, 2, 3), ["a", "b"])[:3]] for _ in range(300)])
    assert ((p < 0.05).sum(axis=0) <= ALLOWED).all()


def test_best_of_n_against_every_draw():
    trials = [0.3, 0.9, 0.1, 0.5]
    for higher, best in ((True, max), (False, min)):
        brute = [np.mean([best(draw) for draw in itertools.product(trials, repeat=n)]) for n in range(1, 5)]
        assert effects.best_of(trials, higher_is_better=higher) == pytest.approx(brute)


def test_best_of_n_counts_divergence_as_the_worst_that_finished():
    assert effects.best_of([1.0, np.inf, 2.0], higher_is_better=False) == pytest.approx(
        effects.best_of([1.0, 2.0, 2.0], higher_is_better=False)
    )
    assert np.isnan(effects.best_of([np.nan, np.inf])).all()


def test_sensitivity_of_a_valley():
    rates = 10.0 ** np.array([1.0, -1.0, -0.5, 0.0, 0.5])
    losses = [[np.nan] * 3, [2.0, 2.0, 2.0], [1.5, 1.4, 1.9], [1.0, 0.9, 1.2], [1.5, 1.5, np.inf]]
    found = effects.sensitivity(rates, losses)
    assert found.rates == pytest.approx([0.1, 10**-0.5, 1, 10**0.5, 10])
    assert found.value[:4] == pytest.approx([2, 1.5, 1, 1.5])
    assert (found.low[2], found.high[2]) == (0.9, 1.2)
    assert found.diverged == pytest.approx([0, 0, 0, 1 / 3, 1])
    assert found.share_diverged == pytest.approx(4 / 15)
    assert found.width == pytest.approx(0.2)  # 1 + |x| lies below 1.1 for a tenth of a decade on either side


def test_width_of_a_plateau_of_scores_and_of_nothing():
    flat = effects.sensitivity([1, 10, 100, 1000], [[0.8], [0.8], [0.8], [0.1]], higher_is_better=True)
    assert flat.width == pytest.approx(2 + (0.8 - 0.8 / 1.1) / 0.7)
    assert effects.sensitivity([1, 10], [[np.nan], [np.nan]]).width == 0
    assert effects.sensitivity([1, 10, 100], [[1.0], [np.inf], [1.0]]).width == 0  # a hole has no width


def test_the_width_on_a_logarithm_is_that_of_what_it_is_the_logarithm_of():
    rates, logs = 10.0 ** np.arange(5), np.array([-3.0, -3.97, -4.0, -3.99, -2.0])
    found = [
        effects.sensitivity(rates, (logs + shift)[:, None], tolerance=math.log10(effects.NEAR)).width for shift in (-5.0, 0.0, 4.0, 9.0)
    ]
    assert found == pytest.approx([found[0]] * 4)
    near = math.log10(1.1)
    assert found[0] == pytest.approx(2 + (near - 0.03) / 0.97 + (near - 0.01) / 1.99)


def test_steps_to_target():
    assert effects.steps_to_target([10, 20, 30], [0.5, 0.9, 0.7], 0.7, higher_is_better=True) == 20
    assert effects.steps_to_target([10, 20], [0.7, 0.9], 0.7, higher_is_better=True) == 10
    assert effects.steps_to_target([10, 20, 30], [0.5, np.nan, 0.1], 0.2, higher_is_better=False) == 30
    assert effects.steps_to_target([10], [0.5], 0.2, higher_is_better=False) == math.inf
