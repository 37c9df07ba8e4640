"""One-dimensional persistent homology over Z/2 of a filtration of triangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics._witness import Floats, Simplices


def holes(edges: Simplices, triangles: Simplices, alpha: float) -> Floats:
    """Birth and death of every hole: K x 2. A hole that is never filled dies at `alpha`; one filled at its birth is left out.

    Persistent cohomology (de Silva, Morozov and Vejdemo-Johansson 2011): an edge that closes a loop starts a cocycle, one bit. Each edge
    carries the cocycles that are 1 on it as the bits of an integer; a triangle on whose boundary their sum is not 0 kills the youngest.

    Args:
        edges: their ends and when they enter, in that order.
        triangles: the same, each after its edges.
        alpha: where the filtration ends.
    """
    cocycles: list[int] = []  # edge -> bits
    births: list[float] = []
    carriers: list[list[int]] = []  # bit -> the edges that have, or once had, it
    parent: dict[int, int] = {}
    for edge, (a, b, time) in enumerate(zip(*edges[0].T.tolist(), edges[1].tolist())):
        root, other = _root(parent, a), _root(parent, b)
        if root == other:
            cocycles.append(1 << len(births))
            births.append(time)
            carriers.append([edge])
        else:
            cocycles.append(0)
            parent[root] = other
    deaths = [alpha] * len(births)
    alive = len(births)
    for ab, ac, bc, time in zip(*_sides(edges[0], triangles[0]), triangles[1].tolist()):
        if boundary := cocycles[ab] ^ cocycles[ac] ^ cocycles[bc]:
            deaths[_kill(boundary, cocycles, carriers)] = time
            alive -= 1
            if not alive:
                break
    intervals = np.array([births, deaths]).T
    lasting: Floats = intervals[intervals[:, 1] > intervals[:, 0]]
    return lasting


def _sides(edges: NDArray[np.intp], triangles: NDArray[np.intp]) -> list[list[int]]:
    """The places of the triangles' sides ab, ac and bc among the edges: 3 x M."""
    size = edges.max(initial=0) + 1
    place = np.zeros((size, size), np.intp)
    place[tuple(edges.T)] = np.arange(len(edges))
    a, b, c = triangles.T
    return [place[a, b].tolist(), place[a, c].tolist(), place[b, c].tolist()]


def _root(parent: dict[int, int], a: int) -> int:
    """The representative of a's component; what lies on the way is hung below it."""
    root = a
    while root in parent:
        root = parent[root]
    while a != root:
        parent[a], a = root, parent[a]
    return root


def _kill(boundary: int, cocycles: list[int], carriers: list[list[int]]) -> int:
    """Add the youngest cocycle of `boundary` to its others, edge by edge, so that only they live on. Returns its bit."""
    youngest = boundary.bit_length() - 1
    touched = [edge for edge in carriers[youngest] if cocycles[edge] >> youngest & 1]
    for edge in touched:
        cocycles[edge] ^= boundary
    rest = boundary ^ 1 << youngest
    while rest:
        bit = rest.bit_length() - 1
        carriers[bit] += touched
        rest ^= 1 << bit
    return youngest
