"""Which rows differ: all pairs of rows compared, with Holm's correction, and letters for those that cannot be told apart.

The difference of two rows has two sources of error, and both count. Which pictures were tested: the rows share them, so what varies is
their difference from one group of pictures to the next. Which seeds were trained: each row has a variance of its own (Welch); from
`MIN_PAIRS` seeds on that both rows have, their differences vary instead, for seeds share initialisation and data order. A trained row with
one seed has an error over seeds that nobody knows: its pictures are compared all the same, and the verdict is about those weights, not
about the method.

Pairs with infinite scores (identical pictures have PSNR = inf) are compared by ranks over the groups, with Wilcoxon's test.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.statistics.intervals import LEVEL, SHARES, Floats, Groups, Part, Sets, difference, limits, p_value
from bench.statistics.signed_ranks import rank_sums, wilcoxon

MIN_PAIRS = 6  # groups of images that a verdict asks for: of fewer nobody can say how their differences are distributed


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All pairs of k rows. Matrices are k x k, entry (i, j) is row i against row j; `reason` says why there is no verdict.

    Attributes:
        difference: mean of row i minus mean of row j. low, high: its 95 % interval.
        p: two-sided, Holm-corrected over the pairs.
        better: row i is better than row j.
        n: images (or seeds, see `over`) that every row scored, and `groups` of them.
        over: what was scored.
    """

    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    better: NDArray[np.bool_]
    n: int
    reason: str = ""
    over: Literal["images", "seeds"] = "images"
    groups: int = 0


@dataclasses.dataclass(frozen=True)
class ScoredRow:
    """The scores of one row of a table, and what is known of their errors.

    Attributes:
        scores: seeds x images, NaN where an image has no score; or, of a score that has no images (a distance), one a seed.
        seeds: those that the first axis stands for; empty: they are no other row's.
        trained: whether the score depends on the seed even where one seed, or equal scores, do not show it.
        error: standard error over samples of the score of a single seed, where there are no images; NaN: nobody knows.
    """

    scores: ArrayLike
    seeds: Sequence[int] = ()
    trained: bool = True
    error: float = math.nan


def compare(
    rows: Sequence[ScoredRow | ArrayLike],
    *,
    higher_is_better: bool = True,
    over: Literal["images", "seeds"] = "images",
    groups: Sequence[Hashable] = (),
    sets: Sequence[Hashable] = (),
) -> Comparison:
    """Compare rows pair by pair.

    Args:
        rows: each a `ScoredRow`, or its scores; the images are the same and in one order, and one that a row has no score of is left out
            for all.
        higher_is_better: the direction of the score.
        over: what was scored: "seeds" where there are no images.
        groups: what each image was taken from; empty: each is a group of its own.
        sets: the test set of each image; empty: all are of one. A mean is that of the sets' means.
    """
    given = [row if isinstance(row, ScoredRow) else ScoredRow(row) for row in rows]
    stacks = [np.atleast_2d(np.asarray(row.scores, np.float64)) for row in given]
    stacks = [s.reshape(-1, 1) for s in stacks] if over == "seeds" else stacks
    known = ~np.any([np.isnan(s).any(0) for s in stacks], axis=0)
    stacks = [s[:, known] for s in stacks]
    every = list(zip(sets or [""] * len(known), groups or range(len(known)), strict=True))
    names = [name for name, kept in zip(every, known, strict=True) if kept]
    n, count = (len(names) if over == "images" else min(map(len, stacks))), Groups.of(names).n
    shared = shared_images(stacks)
    of_images = _sets_of(list(itertools.compress(names, shared)))
    of_seeds = [_Seeds.of(row, of_images.mean(stack[:, shared])) for row, stack in zip(given, stacks, strict=True)]
    if reason := _untestable(over, count, of_images.fewest, of_seeds):
        nothing = np.full((len(stacks), len(stacks)), np.nan)
        return Comparison(nothing, nothing, nothing, nothing, nothing > 0, n, reason, over, count)
    estimates, p, sign = _estimates(stacks, names, shared, of_images, of_seeds)
    if over == "seeds":
        i, j = np.triu_indices(len(stacks), 1)
        p = np.maximum(p, [_least_p(of_seeds[a], of_seeds[b]) for a, b in zip(i, j, strict=True)])
    return _matrices(len(stacks), estimates, holm(p), sign if higher_is_better else -sign, n, over, count)


def _sets_of(names: Sequence[tuple[Hashable, Hashable]]) -> Sets:
    """The images of each test set with their groups, by (test set, group)."""
    return Sets.of([group for _, group in names], [of_set for of_set, _ in names])


def _untestable(over: str, groups: int, fewest: int, of_seeds: Sequence[_Seeds]) -> str:
    if over == "images" and groups >= MIN_PAIRS and fewest < 2:
        return "no verdict: a test set holds one independent image, and nobody knows how far from it another would be"
    if over == "images" and groups < MIN_PAIRS:
        return f"no verdict: {groups} independent image{'s' * (groups != 1)} scored by every row, and a test asks for {MIN_PAIRS}"
    if over == "seeds" and sum(not s.lone for s in of_seeds) < 2:
        return "no verdict: one seed a row, and nobody knows how far from it another would be"
    return ""


@dataclasses.dataclass(frozen=True)
class _Seeds:
    """A row's mean of each seed.

    `names`: which seeds those are; `drawn`: whether the scores depend on them; `one`: variance of a single one.
    """

    means: Floats
    names: Sequence[int]
    drawn: bool
    one: float

    @classmethod
    def of(cls, row: ScoredRow, means: Floats) -> _Seeds:
        """The means of a row; scores that vary depend on the seed, even where the row says that nothing is trained."""
        return cls(means, row.seeds, row.trained or len(set(means.tolist())) > 1, row.error**2)

    @property
    def lone(self) -> bool:
        """Whether there is a single seed, of whose error nothing is known."""
        return self.drawn and len(self.means) == 1 and math.isnan(self.one)

    @property
    def error(self) -> tuple[float, float]:
        """The variance of the mean with its degrees of freedom; zero where nothing is drawn, or only once."""
        n = len(self.means)
        if self.drawn and n > 1:
            return float(np.var(self.means, ddof=1)) / n, n - 1.0
        return (0.0, 1.0) if math.isnan(self.one) else (self.one, SHARES - 1.0)

    def paired_with(self, other: _Seeds) -> Floats | None:
        """The differences seed by seed; None where the two have not the same seeds, or few."""
        if not (self.drawn and other.drawn) or len(self.names) < MIN_PAIRS or sorted(self.names) != sorted(other.names):
            return None
        return difference(self.means[np.argsort(self.names)], other.means[np.argsort(other.names)])


def _estimates(
    stacks: Sequence[Floats], names: Sequence[Hashable], shared: NDArray[np.bool_], of_images: Sets, of_seeds: Sequence[_Seeds]
) -> tuple[tuple[Floats, Floats, Floats], Floats, Floats]:
    """Of each pair (i, j), i < j: the difference with its limits, p, and a number whose sign says which is larger."""
    i, j = np.triu_indices(len(stacks), 1)
    means = np.array([s.means.mean() for s in of_seeds])
    total = difference(means[i], means[j])
    with np.errstate(invalid="ignore"):  # rows without a finite score: their pairs go by ranks
        values = of_images.spread_out(np.stack([s[:, shared].mean(0) for s in stacks]))
        pictures, third = of_images.error([difference(of_set[i], of_set[j]) for of_set in values])
        parts = [pictures, *_seed_parts(of_seeds, i, j)]
        p, (low, high), sign = p_value(total, parts, third), limits(total, parts, third), total.copy()
    ranked = ~np.isfinite([s.sum() for s in stacks])
    if (by_rank := np.flatnonzero(ranked[i] | ranked[j])).size:
        scores = np.stack([Groups.of(names).means(s.mean(0)) for s in stacks])
        sides = difference(scores[i[by_rank]], scores[j[by_rank]])
        p[by_rank] = np.fmax(wilcoxon(sides), p_value(total, parts[1:])[by_rank])  # the seeds count, too
        sign[by_rank] = rank_sums(sides)
    return (total, low, high), p, sign


def _seed_parts(of_seeds: Sequence[_Seeds], i: NDArray[np.intp], j: NDArray[np.intp]) -> list[Part]:
    """The error over seeds of each pair: of the one row, and of the other; or of their paired differences, and nothing."""
    errors = np.array([s.error for s in of_seeds])
    first, second = errors[i], errors[j]
    for pair, (a, b) in enumerate(zip(i, j, strict=True)):
        if (paired := of_seeds[a].paired_with(of_seeds[b])) is not None:
            first[pair], second[pair] = (np.var(paired, ddof=1) / len(paired), len(paired) - 1), (0, 1)
    return [(part[:, 0], part[:, 1]) for part in (first, second)]


def _least_p(a: _Seeds, b: _Seeds) -> float:
    """What p cannot go below: 1 beside a lone seed; that of a permutation for two rows without any spread over their seeds; else 0."""
    if a.lone or b.lone:
        return 1.0
    if not (a.drawn or b.drawn) or a.error[0] or b.error[0]:
        return 0.0
    return 2 / math.comb(len(a.means) + len(b.means), len(a.means))


def _matrices(
    k: int, estimates: tuple[Floats, Floats, Floats], p: Floats, sign: Floats, n: int, over: Literal["images", "seeds"], groups: int
) -> Comparison:
    """Pairs as k x k matrices; a row with a positive sign is the better one."""
    i, j = np.triu_indices(k, 1)
    total, low, high, of_pairs, better = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k)), np.ones((k, k)), np.zeros((k, k), bool)
    total[i, j], low[i, j], high[i, j] = estimates
    total[j, i], low[j, i], high[j, i] = -estimates[0], -estimates[2], -estimates[1]
    of_pairs[i, j] = of_pairs[j, i] = p
    better[i, j], better[j, i] = sign > 0, sign < 0
    return Comparison(total, low, high, of_pairs, better & (of_pairs < 1 - LEVEL), n, "", over, groups)


def shared_images(stacks: Sequence[Floats]) -> NDArray[np.bool_]:
    """The images whose scores are finite in every row; rows without any finite score are not asked. All images where none is.

    Args:
        stacks: for each row its scores, seeds x images.
    """
    finite = np.array([np.isfinite(s).all(0) for s in stacks])
    asked = finite[finite.any(1)]
    shared = np.asarray(asked.all(axis=0), bool)
    return shared if shared.any() else np.ones(finite.shape[1], bool)


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
