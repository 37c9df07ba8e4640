"""How sure a number may be: the interval of a mean, and the p of a difference.

A mean has errors from several sources at once: which pictures were tested, which seeds were trained. Each is a variance with its degrees of
freedom; they add up, and Welch and Satterthwaite's approximation gives the degrees of freedom of the sum. Pictures of one group (tiles of
one photograph, frames of one video, slices of one patient) are not independent: the group is what is counted.

Scores of pictures are skewed, and Student's t interval then misses on one side. Hall's (1992) transformation of t takes the skewness out;
it is noisy for few groups, so the wider of both bounds counts, and the larger of both p. `docs/uncertainty.md` has the simulated coverage.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEVEL, REPS, SEED = 0.95, 2000, 0
SHARES = 10  # of the samples of a generative method, left out one by one to see how far their luck moves a score
Part = tuple[ArrayLike, ArrayLike]  # a variance of a mean and its degrees of freedom
_CAUTIOUS = 0.96  # whose quantiles bound a mean over few pictures: what strong skewness takes from the coverage


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, and what `n` counts; `low` and `high` are NaN where nothing could be said."""

    mean: float
    low: float
    high: float
    n: int
    over: Literal["seeds", "images", "groups", "samples", "nothing"]

    def within(self, bounds: tuple[float, float]) -> Interval:
        """A copy with both ends moved into the bounds of the score."""
        low, high = (float(np.clip(end, *bounds)) for end in (self.low, self.high))
        return dataclasses.replace(self, low=low, high=high)


def interval(
    seeds: ArrayLike,
    images: ArrayLike = (),
    groups: Sequence[Hashable] = (),
    error: float = math.nan,
    sets: Sequence[Hashable] = (),
) -> Interval:
    """Mean over seeds with its interval: over the groups of images, and over the seeds where there are two; else over samples.

    Args:
        seeds: one score a training seed, at least one.
        images: the score of each image, seeds x images; used where their means are those scores (they are not for a score pooled in other
            ways).
        groups: what each image was taken from; empty: each is a group of its own.
        error: standard error of the only seed's score over `SHARES` tenths of the samples that it rests on, where there are no images.
        sets: the test set of each image; empty: all are of one. A mean is that of the sets' means.
    """
    values, pictures = np.asarray(seeds, np.float64), np.atleast_2d(np.asarray(images, np.float64))
    mean, n = float(values.mean()), len(values)
    of = Sets.of(groups or range(pictures.shape[1]), sets)
    of_seeds: list[Part] = [(values.var(ddof=1) / n, n - 1.0)] if n > 1 and np.isfinite(values).all() else []
    low, high = np.asarray(math.nan), np.asarray(math.nan)
    if of.fewest >= 2 and np.isfinite(pictures).all() and np.allclose(of.mean(pictures), values, rtol=1e-5, atol=1e-9):
        of_images, third = of.error(of.spread_out(pictures.mean(axis=0)))
        low, high = limits(mean, [of_images, *of_seeds], third, level=_CAUTIOUS)
        return Interval(mean, float(low), float(high), of.n, "images" if of.n == pictures.shape[1] else "groups")
    if n > 1:
        low, high = limits(mean, of_seeds) if of_seeds else (low, high)
        return Interval(mean, float(low), float(high), n, "seeds")
    if math.isfinite(error):
        low, high = limits(mean, [(error**2, SHARES - 1.0)])
        return Interval(mean, float(low), float(high), n, "samples")
    return Interval(mean, math.nan, math.nan, n, "nothing")


@dataclasses.dataclass(frozen=True)
class Groups:
    """Images and what they were taken from. `index`: the group of each image; `share`: of the images, a group (they sum to one)."""

    index: NDArray[np.intp]
    share: Floats

    @classmethod
    def of(cls, names: Sequence[Hashable]) -> Groups:
        """Make groups from the name of each image's group."""
        found = {name: i for i, name in enumerate(dict.fromkeys(names))}
        index = np.array([found[name] for name in names], np.intp)
        return cls(index, np.bincount(index, minlength=len(found)) / max(1, len(index)))

    @property
    def n(self) -> int:
        """The number of groups."""
        return len(self.share)

    def means(self, scores: Floats) -> Floats:
        """Means of each group: ... x images -> ... x groups."""
        counts = np.bincount(self.index)
        starts = np.cumsum(counts) - counts
        means: Floats = np.add.reduceat(scores[..., np.argsort(self.index, kind="stable")], starts, axis=-1) / counts
        return means

    def spread_out(self, scores: Floats) -> Floats:
        """One value a group with the images' mean as their mean, whatever the groups' sizes: ... x images -> ... x groups.

        Their sample variance over n is the cluster-robust variance of the mean (Liang and Zeger 1986, with n/(n - 1)).
        """
        mean = scores.mean(axis=-1, keepdims=True)
        values: Floats = mean + self.n * self.share * (self.means(scores) - mean)
        return values

    def error(self, values: Floats) -> tuple[tuple[Floats, float], Floats]:
        """Of the mean of `spread_out` values: its variance with degrees of freedom, and its third cumulant.

        One large group decides alone: Kish's effective number of groups, less one, is the degrees of freedom. A single group has no error.
        """
        n = self.n
        if n < 2:
            return (np.zeros(values.shape[:-1]), 1.0), np.zeros(values.shape[:-1])
        centred = values - values.mean(axis=-1, keepdims=True)
        variance = (centred**2).sum(axis=-1) / (n - 1) / n
        third = (centred**3).sum(axis=-1) / ((n - 1) * (n - 2)) / n if n > 2 else np.zeros_like(variance)
        return (variance, 1 / float((self.share**2).sum()) - 1), third


@dataclasses.dataclass(frozen=True)
class Sets:
    """Images of several test sets, whose mean is that of the sets' means: each set has an error of its own.

    Attributes:
        places: for each set, where its images stand.
        groups: for each set, the groups of its images.
    """

    places: list[NDArray[np.intp]]
    groups: list[Groups]

    @classmethod
    def of(cls, groups: Sequence[Hashable], sets: Sequence[Hashable] = ()) -> Sets:
        """By the names of each image's group and test set; without sets all images are of one."""
        index = Groups.of(sets).index if sets else np.zeros(len(groups), np.intp)
        places = [np.flatnonzero(index == i) for i in range(int(index.max(initial=0)) + 1)]
        return cls(places, [Groups.of([groups[i] for i in place.tolist()]) for place in places])

    @property
    def n(self) -> int:
        """How many groups."""
        return sum(of.n for of in self.groups)

    @property
    def fewest(self) -> int:
        """The groups of the set that has the fewest."""
        return min(of.n for of in self.groups)

    def mean(self, scores: Floats) -> Floats:
        """Mean over the sets of their means: ... x images -> ..."""
        mean: Floats = np.mean([scores[..., place].mean(axis=-1) for place in self.places], axis=0)
        return mean

    def spread_out(self, scores: Floats) -> list[Floats]:
        """`Groups.spread_out` of each set: ... x images -> for each set ... x groups."""
        return [of.spread_out(scores[..., place]) for of, place in zip(self.groups, self.places, strict=True)]

    def error(self, values: Sequence[Floats]) -> tuple[Part, Floats]:
        """Of the mean of `spread_out` values: its variance with degrees of freedom, and its third cumulant.

        Satterthwaite's degrees of freedom are too many where the variance of a small set happens to come out low. So they are at most
        those of sets whose images vary alike, which do not depend on what was drawn.
        """
        found = [of.error(of_set) for of, of_set in zip(self.groups, values, strict=True)]
        if (n := len(found)) == 1:
            return found[0]
        parts = [(variance / n**2, freedom) for (variance, freedom), _ in found]
        alike = [(1 / (freedom + 1), freedom) for _, freedom in parts]
        freedom = np.minimum(_combine(parts)[1], _combine(alike)[1])
        return (np.sum([v for v, _ in parts], axis=0), freedom), np.sum([third for _, third in found], axis=0) / n**3


def limits(mean: ArrayLike, parts: Sequence[Part], third: ArrayLike = 0.0, level: float = LEVEL) -> tuple[Floats, Floats]:
    """The confidence interval of means whose errors have these parts: the wider of Student's and Hall's at either end.

    Args:
        mean: any shape.
        parts: independent sources of error.
        third: third cumulant of the mean; 0: symmetric.
        level: of confidence.
    """
    from scipy.stats import t

    error, freedom = _combine(parts)
    q, skew = np.asarray(t.ppf((1 + level) / 2, freedom)), _skewness(third, error)
    below, above = np.maximum(q, _untransform(q, skew)), np.maximum(q, -_untransform(-q, skew))
    return np.asarray(mean - error * below), np.asarray(mean + error * above)


def p_value(mean: ArrayLike, parts: Sequence[Part], third: ArrayLike = 0.0) -> Floats:
    """Two-sided p that a mean is zero: the larger of Student's and Hall's; 1 for a mean of zero, 0 where another has no error at all."""
    from scipy.stats import t

    error, freedom = _combine(parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(mean, np.float64) / error
        skew = _skewness(third, error)
        hall = ratio + skew * ratio**2 / 3 + skew**2 * ratio**3 / 27 + skew / 6  # Hall (1992), eq. 2.4
        p = 2 * t.sf(np.minimum(abs(ratio), abs(hall)), freedom)
    return np.where(np.asarray(mean) == 0, 1.0, np.where(error > 0, p, 0.0))


def _combine(parts: Sequence[Part]) -> tuple[Floats, Floats]:
    """Standard error and degrees of freedom of the sum (Satterthwaite 1946)."""
    variances = [np.asarray(v, np.float64) for v, _ in parts]
    total = np.sum(variances, axis=0) if len(variances) > 1 else variances[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        weighed = sum(v**2 / np.asarray(f, np.float64) for v, (_, f) in zip(variances, parts, strict=True))
        freedom = np.where(total > 0, total**2 / weighed, 1.0)
    return np.sqrt(total), freedom


def _skewness(third: ArrayLike, error: Floats) -> Floats:
    """Skewness of a mean from its third cumulant and its standard error; 0 without any error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error > 0, np.asarray(third, np.float64) / error**3, 0.0)


def _untransform(y: Floats, skew: Floats) -> Floats:
    """Invert Hall's transformation: the t that it maps to y."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(abs(skew) > 1e-9, 3 / skew * (np.cbrt(1 + skew * (y - skew / 6)) - 1), y)


def difference(a: Floats, b: Floats) -> Floats:
    """A - b, where two equal infinities differ by nothing (identical pictures have PSNR = inf)."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, a - b)
