"""What holds across workloads: a common scale, interquartile means, probability of improvement, mean ranks, performance profiles.

Rows are what competes (optimizers, losses), workloads what they compete on; a row has a few seeds on each. A run that diverged counts as
the worst possible one (a score of -inf, a time of inf) and is never left out. Resampling is seeded, so a report is the same every time.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.statistics.effects import cap_infinite
from bench.statistics.intervals import LEVEL, REPS, SEED, Floats, Interval
from bench.statistics.paired import MIN_PAIRS

R_MAX = 4.0  # AlgoPerf's: slower than four times the fastest earns nothing
MIN_ROWS = 3  # of Friedman's test; two rows are a pair


def normalise(rows: Sequence[ArrayLike], *, higher_is_better: bool) -> list[Floats]:
    """One workload's scores on a scale that all share: 1 is the median of the best row, 0 that of the worst row whose median is finite.

    Nothing is clipped: a run may lie above 1 or below 0. A run that diverged lies one unit below the worst run that did not. Where all
    medians are alike there is no unit, and every run that did not diverge is 1.

    Args:
        rows: for each row the scores of its seeds; one that is not a number, or infinitely bad, diverged.
        higher_is_better: the direction of the score.
    """
    scores = [np.asarray(row, np.float64) * (1 if higher_is_better else -1) for row in rows]
    scores = [np.where(np.isnan(s), -np.inf, s) for s in scores]
    scores = cap_infinite(*scores)
    medians = np.array([np.sort(s)[(len(s) - 1) // 2] for s in scores])  # the lower median: half a row diverged, and so has its median
    medians = medians[np.isfinite(medians)]
    worst = medians.min(initial=np.inf)
    gap = medians.max(initial=-np.inf) - worst if len(medians) else 0.0
    scaled = [(s - worst) / gap if gap > 0 else np.where(s > -np.inf, 1.0, -np.inf) for s in scores]
    floor = min((float(v) for s in scaled for v in s if v > -np.inf), default=1.0) - 1
    return [np.where(s > -np.inf, s, floor) for s in scaled]


def iqm(workloads: Sequence[ArrayLike]) -> Interval:
    """Interquartile mean over all runs of all workloads (Agarwal et al. 2021), seeds resampled within each workload for its interval.

    A percentile bootstrap of n seeds is too narrow: its variance lacks the factor n / (n - 1), and few seeds know it badly. So the interval
    is Student's t of the bootstrap's spread with that factor, on half of the degrees of freedom, for trimming drops half of the runs.

    Args:
        workloads: for each workload the row's scores, one a seed, on one scale.
    """
    from scipy.stats import t, trim_mean

    runs = [np.asarray(w, np.float64) for w in workloads]
    n, fewest = sum(map(len, runs)), min(map(len, runs))
    mean = float(trim_mean(np.concatenate(runs), 0.25))
    if fewest < 2:
        return Interval(mean, math.nan, math.nan, n, "nothing")
    rng = np.random.default_rng(SEED)
    drawn = np.concatenate([r[rng.integers(0, len(r), (REPS, len(r)))] for r in runs], axis=1)
    spread = trim_mean(drawn, 0.25, axis=1).std(ddof=1) * math.sqrt(fewest / (fewest - 1))
    half = float(t.ppf((1 + LEVEL) / 2, max(1.0, (n - len(runs)) / 2)) * spread)
    return Interval(mean, mean - half, mean + half, n, "seeds")


def improvement(a: Sequence[ArrayLike], b: Sequence[ArrayLike]) -> Interval:
    """P(a run of row a is better than one of row b), ties counting half, averaged over workloads.

    The interval is Clopper and Pearson's for as many independent pairs of runs as there are (all pairs are counted, so it is on the safe
    side).

    Args:
        a: for each workload the scores of row a, one a seed, larger is better, -inf where it diverged; their scales do not matter.
        b: the same of row b.
    """
    from scipy.stats import beta

    pairs = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in zip(a, b, strict=True)]
    fewest = [min(len(x), len(y)) for x, y in pairs]
    mean, n = float(np.mean([_beats(x, y) for x, y in pairs])), sum(fewest)
    if min(fewest) < 2:
        return Interval(mean, math.nan, math.nan, n, "nothing")
    low = 0.0 if mean == 0 else float(beta.ppf((1 - LEVEL) / 2, mean * n, n - mean * n + 1))
    high = 1.0 if mean == 1 else float(beta.ppf((1 + LEVEL) / 2, mean * n + 1, n - mean * n))
    return Interval(mean, low, high, n, "seeds")


def _beats(x: Floats, y: Floats) -> float:
    """The share of pairs where x is larger; ties count half."""
    x, y = x[:, None], y[None, :]
    return float(((x > y) + 0.5 * (x == y)).mean())


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Friedman's test and Nemenyi's (Demsar 2006).

    Attributes:
        mean: mean rank of each row over the workloads, 1 is best.
        p: of Friedman's test: all rows are alike.
        critical: the difference in mean ranks that Nemenyi's test asks for.
        different: rows x rows: Friedman's test rejects, and the mean ranks are at least `critical` apart.
        n: workloads.
        reason: why there is no verdict; then `p` and `critical` are NaN and nothing differs.
    """

    mean: Floats
    p: float
    critical: float
    different: NDArray[np.bool_]
    n: int
    reason: str = ""

    @property
    def cliques(self) -> list[list[int]]:
        """The largest groups of rows, neighbours in mean rank, of which no two differ; best first. Rows alone are no group."""
        order = [int(i) for i in np.argsort(self.mean, kind="stable")]
        ends = [max(j for j in range(i, len(order)) if not self.different[order[i], order[j]]) for i in range(len(order))]
        return [order[i : end + 1] for i, end in enumerate(ends) if end > i and (i == 0 or end > ends[i - 1])]


def rank(scores: ArrayLike) -> Ranks:
    """Rank the rows within each workload (ties share their mean rank, NaN is last) and test whether the mean ranks differ.

    Args:
        scores: workloads x rows, larger is better.

    Returns:
        The ranks; below three rows or six workloads without a verdict.
    """
    from scipy.stats import friedmanchisquare, rankdata

    cost = -np.asarray(scores, np.float64)
    ranks = rankdata(np.where(np.isnan(cost), np.inf, cost), axis=1)
    (n, k), mean = ranks.shape, ranks.mean(axis=0)
    if n < MIN_PAIRS or k < MIN_ROWS:
        reason = f"no verdict: {k} rows on {n} workloads, and Friedman's test asks for {MIN_ROWS} on {MIN_PAIRS}"
        return Ranks(mean, math.nan, math.nan, np.zeros((k, k), bool), n, reason)
    p = float(friedmanchisquare(*ranks.T).pvalue) if (ranks != ranks[0, 0]).any() else 1.0
    critical = nemenyi_q(k) * math.sqrt(k * (k + 1) / (6 * n))
    apart = np.abs(mean[:, None] - mean) >= critical
    return Ranks(mean, p, critical, apart & (p < 1 - LEVEL), n)


def nemenyi_q(k: int) -> float:
    """The critical value of Nemenyi's test for k rows: the studentized range's, over the root of two."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(LEVEL, k, np.inf) / math.sqrt(2))


@dataclasses.dataclass(frozen=True)
class PerformanceProfile:
    """AlgoPerf's performance profile (Dahl et al. 2023).

    `ratio`: rows x workloads, time over the fastest row's; inf where the target was missed.
    """

    ratio: Floats

    def share(self, tau: ArrayLike) -> Floats:
        """The share of workloads that each row trains within tau times the fastest: rows x tau."""
        share: Floats = (self.ratio[:, :, None] <= np.asarray(tau, np.float64)).mean(axis=1)
        return share

    @property
    def score(self) -> Floats:
        """B_s, the area under the profile from 1 to r_max over r_max - 1: (1/n) sum over w of max(0, (r_max - r_sw)/(r_max - 1))."""
        score: Floats = np.maximum(0, (R_MAX - self.ratio) / (R_MAX - 1)).mean(axis=1)
        return score


def profile(times: ArrayLike) -> PerformanceProfile:
    """Times to the target as ratios to the fastest.

    Args:
        times: rows x workloads, positive; inf where the target was missed. A workload whose target nobody reached counts as missed by all.
    """
    t = np.asarray(times, np.float64)
    ratio = np.full_like(t, np.inf)
    np.divide(t, t.min(axis=0), out=ratio, where=np.isfinite(t))
    return PerformanceProfile(ratio)


def time_to_result(times: ArrayLike) -> float:
    """Median over studies of the fastest trial of each (AlgoPerf): studies x trials; a miss is inf and takes part."""
    return float(np.median(np.asarray(times, np.float64).min(axis=1)))


def speed_up(times: ArrayLike, baseline: ArrayLike) -> tuple[float, int]:
    """Geometric mean of baseline/time over the workloads whose target both reached, and how many those are (NaN, 0 where none)."""
    t, base = np.asarray(times, np.float64), np.asarray(baseline, np.float64)
    both = np.isfinite(t) & np.isfinite(base)
    return (float(np.exp(np.log(base[both] / t[both]).mean())), int(both.sum())) if both.any() else (math.nan, 0)
