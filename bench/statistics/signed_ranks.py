"""Wilcoxon's signed-rank test of many pairs of rows at once."""

from __future__ import annotations

import numpy as np

from bench.statistics.intervals import Floats

_FEW = 13  # that SciPy too goes through all choices of signs for, slowly


def wilcoxon(differences: Floats) -> Floats:
    """Two-sided p of each row of pairs x n differences; 1 where all are zero. Few with ties: all their signs; else as SciPy chooses."""
    from scipy import stats as scipy_stats

    p, alike = np.ones(len(differences)), dict[tuple[int, bool], list[int]]()
    found = [d[d != 0] for d in differences]
    for row, d in enumerate(found):
        alike.setdefault((len(d), len(np.unique(np.abs(d))) < len(d)), []).append(row)
    for (n, tied), rows in alike.items():  # SciPy chooses its way by these two, for all rows of a call
        if tied and n <= _FEW:
            p[rows] = [_exact(found[row]) for row in rows]
        elif n:
            p[rows] = scipy_stats.wilcoxon(np.stack([found[row] for row in rows]), axis=1).pvalue
    return p


def _exact(differences: Floats) -> float:
    """Wilcoxon's exact two-sided p of differences that are not zero: the sums of mid-ranks under every choice of signs."""
    from scipy.stats import rankdata

    ranks = np.rint(2 * rankdata(np.abs(differences))).astype(int)  # mid-ranks are halves
    ways = np.ones(1)  # how many choices of signs give each sum of the positive ones
    for rank in ranks:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    below = ways.cumsum() / ways.sum()
    total = ranks[differences > 0].sum()
    return float(min(1, 2 * min(below[total], below[-1 - total])))


def rank_sums(differences: Floats) -> Floats:
    """Of each row of pairs x n differences: positive where the positive ones weigh more."""
    from scipy.stats import rankdata

    sums: Floats = (np.sign(differences) * rankdata(np.abs(differences), axis=1)).sum(axis=1)
    return sums
