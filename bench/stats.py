"""How sure a table may be: intervals, paired tests with Holm's correction, tie groups.

A mean over seeds has Student's t interval: a bootstrap of two to five values is far too narrow. Images are many, and bootstrapped.

A row is "better" when the images and the training seeds both say so: Wilcoxon's signed-rank test over the images, a t-test over the seeds
where a row has several (paired where both rows have the same seeds, which share initialisation and data order, else Welch's; the larger p
counts, Holm-corrected over all pairs of rows), and a percentile bootstrap of the difference in means, over images and seeds, that excludes
zero. The images alone cannot tell a better method from a luckier seed: with three seeds a pair
and a seed spread half the image noise, Wilcoxon on 100 images errs in two thirds of the null cases. A row with one seed is taken as it is.
Resampling is seeded, so a report is the same every time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEVEL, REPS, SEED = 0.95, 2000, 0
MIN_PAIRS = 6  # with n pairs no two-sided p lies below 2 / 2^n: n = 5 cannot reach 0.05
_FEW = 13  # that SciPy too goes through all choices of signs for, slowly


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, and over what was resampled; `low` and `high` are NaN where nothing could be."""

    mean: float
    low: float
    high: float
    n: int
    over: Literal["seeds", "images", "nothing"]


def interval(seeds: ArrayLike, images: ArrayLike = ()) -> Interval:
    """Mean over seeds with its interval: Student's t over the seeds if there are two, else a percentile bootstrap over the images.

    Args:
        seeds: one score a training seed, at least one.
        images: the only seed's score of each image; used where their mean is that score (it is not for pooled scores such as F1).
    """
    values, pictures = np.asarray(seeds, np.float64), np.asarray(images, np.float64)
    mean = float(values.mean())
    if len(values) >= 2:
        half = _half_width(values)
        return Interval(mean, mean - half, mean + half, len(values), "seeds")
    if len(pictures) >= 2 and np.isclose(pictures.mean(), mean, rtol=1e-5, atol=1e-9):
        low, high = percentiles(_resampled(pictures))
        return Interval(mean, float(low), float(high), len(pictures), "images")
    return Interval(mean, np.nan, np.nan, len(values), "nothing")


def _half_width(values: Floats) -> float:
    """Of Student's t interval of the mean; NaN where a value is not finite."""
    from scipy.stats import t

    n = len(values)
    return float(t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)) if np.isfinite(values).all() else np.nan


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All pairs of k rows. Matrices are k x k, entry (i, j) is row i against row j; `reason` says why there is no verdict.

    Attributes:
        difference: mean of row i minus mean of row j. low, high: its bootstrap interval.
        p: the larger of Wilcoxon's and the seeds' two-sided p, Holm-corrected over the pairs.
        better: row i is better than row j, by both.
        n: images (or seeds, see `over`) that every row scored.
        over: what the pairs are.
    """

    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    better: NDArray[np.bool_]
    n: int
    reason: str = ""
    over: Literal["images", "seeds"] = "images"


def compare(
    rows: Sequence[ArrayLike],
    *,
    higher_is_better: bool = True,
    over: Literal["images", "seeds"] = "images",
    seeds: Sequence[Sequence[int]] = (),
) -> Comparison:
    """Compare rows pair by pair: image by image, or where a score has no images (a distance, a pooled F1) seed by seed.

    Args:
        rows: for each row its scores, seeds x images, the images in one order; NaN where an image has no score.
            Images that some row lacks are left out for all. Pairs of seeds: one score a seed, the same seeds in one order.
        higher_is_better: the direction of the score.
        over: what the pairs are, for the reader.
        seeds: for each row the seeds that its scores' first axis stands for; rows of the same seeds are paired over them too.

    Returns:
        The comparison; where there are too few pairs for any test to tell two rows apart, `better` is all False and `reason` says why.
    """
    stacks = [np.atleast_2d(np.asarray(row, np.float64)) for row in rows]
    k = len(stacks)
    names: list[tuple[int, ...]] = [tuple(sorted(s)) for s in seeds] or [()] * k
    stacks = [s[np.argsort(order)] for s, order in zip(stacks, seeds, strict=True)] if seeds else stacks
    common = ~np.any([np.isnan(s).any(0) for s in stacks], axis=0)
    n = int(common.sum())
    nothing = np.full((k, k), np.nan)
    if n < MIN_PAIRS:
        reason = f"no verdict: {n} {over if n != 1 else over[:-1]} scored by every row, and below {MIN_PAIRS} pairs no paired test can reach p < 0.05"
        return Comparison(nothing, nothing, nothing, nothing, np.zeros((k, k), bool), n, reason, over)
    stacks = [s[:, common] for s in stacks]
    means = np.stack([s.mean(0) for s in stacks])  # k x n
    i, j = np.triu_indices(k, 1)
    p = np.ones((k, k))
    p[i, j] = p[j, i] = holm(np.maximum(_wilcoxon(difference(means[i], means[j])), _over_seeds(stacks, names, i, j)))
    boot = _boot_means(stacks, names)  # k x reps
    low, high = (np.zeros((k, k)) for _ in range(2))
    for row in range(k):
        low[row], high[row] = percentiles(difference(boot[row], boot).T)
    total = means.mean(1)
    clear = (low > 0) if higher_is_better else (high < 0)
    reason = ""
    if len(i) * 2.0 ** (1 - n) >= 1 - LEVEL:  # Wilcoxon's smallest p is 2 / 2^n
        reason = f"no verdict: {n} {over} scored by every row, too few for any p < 0.05 after Holm's correction for {len(i)} pairs of rows"
    return Comparison(difference(total[:, None], total), low, high, p, clear & (p < 1 - LEVEL), n, reason, over)


def holm(p: ArrayLike) -> Floats:
    """Holm's (1979) step-down correction: adjusted p values in the order given."""
    raw = np.asarray(p, np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)))
    return adjusted


def tie_letters(different: ArrayLike) -> list[str]:
    """Compact letter display (Piepho 2004, insert and absorb): rows that share a letter cannot be told apart.

    Args:
        different: k x k, symmetric: True where two rows differ.
    """
    matrix = np.asarray(different, bool)
    groups = {frozenset(range(len(matrix)))}
    for i, j in np.argwhere(np.triu(matrix)):
        split = {g - {x} for g in groups for x in ((i, j) if {i, j} <= g else (-1,))}
        groups = {g for g in split if not any(g < other for other in split)}
    letters = [""] * len(matrix)
    for name, group in enumerate(sorted(sorted(int(x) for x in g) for g in groups)):
        for row in group:
            letters[row] += chr(97 + name) if name < 26 else f"({name + 1})"
    return letters


def _boot_means(stacks: Sequence[Floats], names: Sequence[tuple[int, ...]]) -> Floats:
    """Bootstrap means, k x reps: draws of images shared by all rows, of seeds by those that have the same ones (that is what pairs them)."""
    rng = np.random.default_rng(SEED)
    images = _draws(rng, stacks[0].shape[1])
    shared: dict[tuple[int, ...], Floats] = {}
    means = []
    for stack, name in zip(stacks, names, strict=True):
        drawn = shared.setdefault(name, _draws(rng, len(stack))) if name else _draws(rng, len(stack))
        with np.errstate(invalid="ignore"):  # 0 x inf: a mean that is not finite has no interval
            means.append(np.einsum("bs,bs->b", drawn, images @ stack.T))
    return np.stack(means)


def _draws(rng: np.random.Generator, n: int) -> Floats:
    """How often each of n things is drawn, as weights that sum to one: REPS x n."""
    weights: Floats = rng.multinomial(n, np.full(n, 1 / n), REPS) / n
    return weights


def _resampled(values: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        means: Floats = _draws(np.random.default_rng(SEED), len(values)) @ values
    return means


def percentiles(samples: Floats) -> Floats:
    """Low and high of samples along the first axis; NaN where one of them is not finite."""
    samples = np.where(np.isfinite(samples).all(0), samples, np.nan)
    bounds: Floats = np.percentile(samples, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    return bounds


def difference(a: Floats, b: Floats) -> Floats:
    """A - b, where two equal infinities differ by nothing (identical pictures have PSNR = inf)."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, a - b)


def _wilcoxon(differences: Floats) -> Floats:
    """Two-sided p of each row of pairs x n differences; 1 where all are zero. Few with ties: all their signs; else as SciPy chooses."""
    from scipy.stats import wilcoxon

    p, alike = np.ones(len(differences)), dict[tuple[int, bool], list[int]]()
    found = [d[d != 0] for d in differences]
    for row, d in enumerate(found):
        alike.setdefault((len(d), len(np.unique(np.abs(d))) < len(d)), []).append(row)
    for (n, tied), rows in alike.items():  # SciPy chooses its way by these two, for all rows of a call
        if tied and n <= _FEW:
            p[rows] = [_signed_ranks(found[row]) for row in rows]
        elif n:
            p[rows] = wilcoxon(np.stack([found[row] for row in rows]), axis=1).pvalue
    return p


def _signed_ranks(differences: Floats) -> float:
    """Wilcoxon's exact two-sided p of differences that are not zero: the sums of mid-ranks under every choice of signs."""
    from scipy.stats import rankdata

    ranks = np.rint(2 * rankdata(np.abs(differences))).astype(int)  # mid-ranks are halves
    ways = np.ones(1)  # how many choices of signs give each sum of the positive ones
    for rank in ranks:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    below = ways.cumsum() / ways.sum()
    total = ranks[differences > 0].sum()
    return float(min(1, 2 * min(below[total], below[-1 - total])))


def _over_seeds(stacks: Sequence[Floats], names: Sequence[tuple[int, ...]], i: NDArray[np.intp], j: NDArray[np.intp]) -> Floats:
    """Two-sided p of pairs (i, j) over their seeds' means: the paired t-test where both have the same seeds, else Welch's."""
    p = _welch(stacks, i, j)
    for pair, (a, b) in enumerate(zip(i, j, strict=True)):
        if len(names[a]) > 1 and names[a] == names[b]:
            p[pair] = _paired(difference(stacks[a].mean(1), stacks[b].mean(1)))
    return p


def _paired(differences: Floats) -> float:
    """Two-sided p of the t-test that differences are zero on average; 0 where they have no spread but are not, as in `_welch`."""
    from scipy.stats import t

    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = differences.mean() / (differences.std(ddof=1) / np.sqrt(len(differences)))
    p = float(2 * t.sf(abs(statistic), len(differences) - 1))
    return 1.0 if not differences.any() else p if np.isfinite(p) else 0.0


def _welch(stacks: Sequence[Floats], i: NDArray[np.intp], j: NDArray[np.intp]) -> Floats:
    """Two-sided p of pairs (i, j) over their seeds' means; a single seed has no spread; 0 where neither row has any but they differ."""
    from scipy.stats import t

    seeds = np.array([len(s) for s in stacks])
    means = np.array([s.mean() for s in stacks])
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.array([np.var(s.mean(1), ddof=1) / len(s) if len(s) > 1 else 0.0 for s in stacks])  # squared standard error
        share = np.where(seeds > 1, spread**2 / (seeds - 1), 0.0)
        freedom = (spread[i] + spread[j]) ** 2 / (share[i] + share[j])  # Welch and Satterthwaite
        p = 2 * t.sf(np.abs(difference(means[i], means[j])) / np.sqrt(spread[i] + spread[j]), freedom)
    return np.where(means[i] == means[j], 1.0, np.where(np.isfinite(p), p, 0.0))
