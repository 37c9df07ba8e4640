"""The witness complex of a point cloud, up to triangles: two ways of building the same numbers.

A witness w at distances d_1 <= d_2 <= ... from the landmarks lets the simplex s in at max(0, max_{v in s} d_v - min_{u not in s} d_u);
s enters at the least such value over the witnesses, and not before its faces (de Silva and Carlsson 2004). Landmarks are witnesses
themselves, so vertices enter at 0.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Simplices = tuple[NDArray[np.intp], Floats]
"""Vertices, M x corners, ascending in a row; and when they enter, M, ascending."""


def build(table: Floats, alpha: float) -> tuple[Simplices, Simplices]:
    """Edges and triangles, by the cheaper way: the sparse one unless many landmarks compete for a witness.

    Args:
        table: L x N, the distance of each landmark from each witness; L >= 3.
        alpha: simplices that enter later are left out.
    """
    near = table - np.partition(table, 2, axis=0)[2] <= alpha  # possible corners of a triangle that the witness lets in; at least three
    count = near.sum(0)
    few, whole = (count * (count - 1) * (count - 2)).sum(), len(table) ** 3 * table.shape[1]
    return (
        build_sparse(table, alpha, near) if 50 * few < whole else build_dense(table, alpha)
    )  # measured: one of the few costs 50 of the whole


def build_sparse(table: Floats, alpha: float, near: NDArray[np.bool_]) -> tuple[Simplices, Simplices]:
    """Combinations of the few landmarks that each witness has near (L x N); see `build`."""
    size = len(table)
    edges, triangles = np.full((size, size), np.inf), np.full((size, size, size), np.inf)
    witness, landmark = np.nonzero(near.T)
    distance = table[landmark, witness]
    order = np.lexsort((distance, witness))
    landmark, distance = landmark[order], distance[order]
    count = np.bincount(witness)
    start = np.cumsum(count) - count
    for k in np.unique(count):
        rows = start[count == k][:, None] + np.arange(k)  # witnesses x k, nearest first
        for best in (edges, triangles):
            corners, rival = _faces(k, best.ndim)
            value = distance[rows[:, corners[:, -1]]] - distance[rows[:, rival]]  # witnesses x simplices
            inside = value <= alpha
            vertices = np.sort(landmark[rows[:, corners][inside]], axis=1)
            np.minimum.at(best, tuple(vertices.T), value[inside])
    return _filtration(edges, triangles, alpha)


def build_dense(table: Floats, alpha: float) -> tuple[Simplices, Simplices]:
    """All simplices against all witnesses; see `build`.

    The value a witness gives is the least of max_{v in s} d_v - d_j over the j whose j - 1 nearest landmarks all lie in s.
    """
    size = len(table)
    edges, triangles = np.full((size, size), np.inf), np.full((size, size, size), np.inf)
    first, second = np.argpartition(table, 1, axis=0)[:2]
    d1, d2, d3 = np.partition(table, 2, axis=0)[:3]
    gap = table - d1  # L x N
    for a, b in itertools.combinations(range(size), 2):
        pair = np.maximum(gap[a], gap[b])
        edges[a, b] = pair.min()
        triangles[a, b, b + 1 :] = np.maximum(pair, gap[b + 1 :]).min(1, initial=np.inf)
    for a in np.unique(first):
        gap = (table - d2)[:, first == a]
        edges[a] = np.minimum(edges[a], gap.min(1))
        triangles[a] = np.minimum(triangles[a], np.maximum(gap[:, None], gap).min(2))
    np.minimum.at(triangles, (first, second), (table - d3).T)
    edges = np.minimum(edges, edges.T)
    triangles = functools.reduce(np.minimum, (triangles.transpose(axes) for axes in itertools.permutations(range(3))))
    return _filtration(edges, triangles, alpha)


@functools.cache
def _faces(k: int, corners: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The simplices on k landmarks in order of distance, and for each the place of the nearest landmark outside it.

    Where that one is farther than the whole simplex, the simplex's farthest corner stands for it: their difference is 0.
    """
    simplices = np.array([*itertools.combinations(range(k), corners)])
    missing = (simplices == np.arange(corners)).cumprod(1).sum(1)
    return simplices, np.minimum(missing, simplices[:, -1])


def _filtration(edges: Floats, triangles: Floats, alpha: float) -> tuple[Simplices, Simplices]:
    """From L x L and L x L x L values, infinity where absent: a triangle enters with its last edge at the earliest."""
    corners, times = _entering(triangles, alpha)
    a, b, c = corners.T
    times = np.maximum.reduce([times, edges[a, b], edges[a, c], edges[b, c]])
    return _ordered(*_entering(edges, alpha)), _ordered(corners[times <= alpha], times[times <= alpha])


def _entering(values: Floats, alpha: float) -> Simplices:
    where = np.stack(np.unravel_index(np.flatnonzero(values <= alpha), values.shape), axis=1)
    where = where[(np.diff(where) > 0).all(1)]
    return where, values[tuple(where.T)]


def _ordered(vertices: NDArray[np.intp], times: Floats) -> Simplices:
    order = np.argsort(times, kind="stable")
    return vertices[order], times[order]
