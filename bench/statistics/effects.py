"""How large effects are and where they come from: variance, factors of a grid, what tuning buys, how sharply a rate must be set."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bench.statistics.intervals import LEVEL, Floats

NEAR = 1.1  # a loss within a tenth of the best is as good


def cap_infinite(*scores: ArrayLike) -> list[Floats]:
    """Scores of which the larger is better: those that are infinitely good count as the best finite one of them all, where there is one."""
    arrays = [np.asarray(s, np.float64) for s in scores]
    finite = [a[np.isfinite(a)] for a in arrays]
    top = max((float(f.max()) for f in finite if len(f)), default=np.inf)
    return [np.where(a == np.inf, top, a) for a in arrays]


def cliffs_delta(differences: ArrayLike) -> float:
    """Cliff's delta within pairs (Cliff 1993): the share of pairs with a positive difference minus that with a negative one, in [-1, 1]."""
    return float(np.sign(np.asarray(differences, np.float64)).mean())


def detectable_difference(spread: float, n: int, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided t-test at 5 % finds with that power between two rows of n seeds each; inf below two.

    Args:
        spread: standard deviation of one row's seeds.
        n: seeds of either row.
        power: the chance to find it.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    if n < 2 or not math.isfinite(spread):
        return math.inf
    freedom = 2 * (n - 1)
    limit = t.ppf((1 + LEVEL) / 2, freedom)

    def lacks(delta: float) -> float:  # power of a shift by `delta` standard errors; the far tail adds nothing above half power
        return float(nct.sf(limit, freedom, delta)) - power

    return float(spread * brentq(lacks, 0, 20 + 4 * limit) * math.sqrt(2 / n))


@dataclasses.dataclass(frozen=True)
class Variance:
    """Components of a score's variance; NaN where the design cannot tell (one seed, one image). Estimates below zero are zero."""

    training: float
    image: float
    residual: float


def variance(scores: ArrayLike) -> Variance:
    """Where a score's variance comes from: y_ik = mean + training_i + image_k + residual, by the method of moments, on the same images.

    Args:
        scores: training seeds x images, complete.
    """
    y = np.asarray(scores, np.float64)
    seeds, images = y.shape
    of_seed, of_image = y.mean(1), y.mean(0)
    rest = y - of_seed[:, None] - of_image + y.mean()

    def mean_square(deviations: Floats, freedom: int) -> float:
        return float((deviations**2).sum() / freedom) if freedom else math.nan

    ms_training = mean_square(of_seed - y.mean(), seeds - 1) * images
    ms_image = mean_square(of_image - y.mean(), images - 1) * seeds
    ms_rest = mean_square(rest, (seeds - 1) * (images - 1))
    below = 0.0 if images == 1 else ms_rest  # one number a seed: its variance is all of it
    found = ((ms_training - below) / images, (ms_image - ms_rest) / seeds, ms_rest)
    return Variance(*(v if math.isnan(v) else max(0.0, v) for v in found))


@dataclasses.dataclass(frozen=True)
class Effect:
    """One line of an analysis of variance; p is NaN where nothing can be tested."""

    name: str
    freedom: int
    squares: float
    share: float
    p: float


def anova(cells: ArrayLike, axes: Sequence[str]) -> list[Effect]:
    """Main effects, pairwise interactions, what is left of the grid, the seeds as blocks, and the residual, of a balanced grid.

    Args:
        cells: levels of each axis in turn x seeds; finite. The same seeds stand in every cell (that is what makes them blocks).
        axes: their names, at least two.

    Returns:
        One effect a source, sums of squares adding up to the total; p of the F test against the residual, NaN with one seed.
    """
    from scipy.stats import f

    y = np.asarray(cells, np.float64)
    k, seeds = len(axes), y.shape[-1]
    total = float(((y - y.mean()) ** 2).sum())
    parts: dict[frozenset[int], Floats] = {}
    lines: list[tuple[str, int, float]] = []
    for size in range(3):
        for chosen in itertools.combinations(range(k), size):
            means = y.mean(axis=tuple(i for i in range(k + 1) if i not in chosen), keepdims=True)
            part = means - sum(p for inner, p in parts.items() if inner < frozenset(chosen))
            parts[frozenset(chosen)] = part
            if chosen:
                freedom = math.prod(y.shape[i] - 1 for i in chosen)
                lines.append((" x ".join(axes[i] for i in chosen), freedom, float((part**2).sum() * y.size / part.size)))
    of_cell, of_seed = y.mean(-1, keepdims=True), y.mean(tuple(range(k)), keepdims=True)
    cell_count = y.size // seeds
    if k > 2:
        squares = float(((of_cell - sum(parts.values())) ** 2).sum()) * seeds
        lines.append(("higher interactions", cell_count - 1 - sum(x[1] for x in lines), squares))
    residual, freedom = float(((y - of_cell - of_seed + y.mean()) ** 2).sum()), (cell_count - 1) * (seeds - 1)

    def p_of(squares: float, degrees: int) -> float:
        return float(f.sf(squares / degrees / (residual / freedom), degrees, freedom)) if freedom and degrees and residual > 0 else math.nan

    effects = [Effect(name, df, ss, ss / total if total else 0.0, p_of(ss, df)) for name, df, ss in lines]
    for name, df, ss in (("seed", seeds - 1, float(((of_seed - y.mean()) ** 2).sum()) * cell_count), ("residual", freedom, residual)):
        effects.append(Effect(name, df, ss, ss / total if total else 0.0, math.nan))
    return effects


def best_of(scores: ArrayLike, *, higher_is_better: bool = True) -> Floats:
    """Expected best of n tuning trials, n = 1 ... N, drawn with replacement from those N (Dodge et al. 2019):
    sum over i of v_(i) ((i/N)^n - ((i-1)/N)^n).

    Args:
        scores: one a trial, at least one. A trial that diverged counts as the worst of the others: its own value would make every mean
            infinite. That flatters a rule that diverges often, so say beside the curve how many did. One that is infinitely good counts as
            the best of them.
        higher_is_better: the direction of the score.
    """
    (values,) = cap_infinite(np.asarray(scores, np.float64) * (1 if higher_is_better else -1))
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.full(len(values), np.nan)
    ordered = np.sort(np.where(np.isfinite(values), values, finite.min()))
    levels = np.arange(len(ordered) + 1) / len(ordered)
    n = np.arange(1, len(ordered) + 1)[:, None]
    expected: Floats = (np.diff(levels**n, axis=1) * ordered).sum(axis=1)
    return expected if higher_is_better else -expected


@dataclasses.dataclass(frozen=True)
class RateSensitivity:
    """How a score depends on the learning rate.

    Attributes:
        rates: ascending. value: median over the seeds that finished at each, NaN where all diverged. low, high: their extremes.
        diverged: share of the seeds that diverged at each.
        width: decades of rates whose loss is within a tenth of the best, between grid points read off a line straight in the rate's
            logarithm.
    """

    rates: Floats
    value: Floats
    low: Floats
    high: Floats
    diverged: Floats
    width: float

    @property
    def share_diverged(self) -> float:
        """Share of all runs that diverged."""
        return float(self.diverged.mean())


def sensitivity(
    rates: Sequence[float], scores: Sequence[ArrayLike], *, higher_is_better: bool = False, tolerance: float | None = None
) -> RateSensitivity:
    """Summarise a grid of learning rates.

    Args:
        rates: of the grid, positive.
        scores: for each rate the seeds' scores; one that is not finite has diverged, but for an infinitely good one, which counts as the
            best finite.
        higher_is_better: the direction; a score counts as within a tenth of the best where it is at least best/1.1, a loss at most 1.1
            best.
        tolerance: for a score that is itself a logarithm, how far from the best that is: log10(1.1) of a log10.
    """
    order = np.argsort(rates)
    sign = 1 if higher_is_better else -1
    runs = [sign * upward for upward in cap_infinite(*(sign * np.asarray(scores[i], np.float64) for i in order))]
    kept = [r[np.isfinite(r)] for r in runs]
    value, low, high = (np.array([f(k) if len(k) else np.nan for k in kept]) for f in (np.median, np.min, np.max))
    diverged = np.array([1 - len(k) / len(r) for k, r in zip(kept, runs)])
    x = np.log10(np.asarray(rates, np.float64)[order])
    steady = np.where(diverged < 0.5, value, np.nan)
    return RateSensitivity(10**x, value, low, high, diverged, _width(x, -steady if higher_is_better else steady, tolerance))


def _width(x: Floats, loss: Floats, tolerance: float | None) -> float:
    """Length of x over which the broken line through (x, loss) lies near its lowest point: within the factor NEAR, or the tolerance.

    Pieces with an end that is NaN have none.
    """
    if np.isnan(loss).all():
        return 0.0
    best = float(np.nanmin(loss))
    limit = best + tolerance if tolerance is not None else best * NEAR if best >= 0 else best / NEAR
    width = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(zip(x.tolist(), loss.tolist())):
        under, over = min(y0, y1), max(y0, y1)
        if math.isnan(y0) or math.isnan(y1) or under > limit:
            continue
        width += (x1 - x0) * (1.0 if over <= limit else (limit - under) / (over - under))
    return width


def steps_to_target(steps: ArrayLike, values: ArrayLike, target: float, *, higher_is_better: bool) -> float:
    """The first step whose validation score reaches the target; inf where none does. Scores that are NaN reach nothing."""
    at, score = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    reached = at[score >= target] if higher_is_better else at[score <= target]
    return float(reached.min(initial=np.inf))
