"""Witness complexes and their holes against the definition, linear algebra and GUDHI; the score against the authors' figures."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import SeedSequence
from scipy.spatial.distance import cdist

from bench import registry
from bench.errors import UsageError
from bench.metrics import _persistence, _witness
from bench.metrics._living_times import Options, living_times, relative_living_times
from bench.spec import Spec


def _rng(seed=0):
    return np.random.default_rng(seed)


def _circle(n, rng):
    phi = 2 * np.pi * rng.random(n)
    return np.c_[np.sin(phi), np.cos(phi)] + 0.05 * rng.normal(size=(n, 2))


def _disc(n, rng):
    phi, r = 2 * np.pi * rng.random(n), np.sqrt(rng.random((n, 1)))
    return r * np.c_[np.sin(phi), np.cos(phi)] + 0.05 * rng.normal(size=(n, 2))


def _entries(simplices):
    return dict(zip(map(tuple, simplices[0].tolist()), simplices[1].tolist()))


def _by_definition(table, alpha):
    """Both dimensions, simplex by simplex."""
    size, found = len(table), []
    for corners in (2, 3):
        level = {}
        for s in itertools.combinations(range(size), corners):
            others = [v for v in range(size) if v not in s]
            value = np.maximum(table[list(s)].max(0) - table[others].min(0, initial=np.inf), 0).min()
            value = max([value, *(found[0].get(e, np.inf) for e in itertools.combinations(s, 2) if corners == 3)])
            if value <= alpha:
                level[s] = value
        found.append(level)
    return found


def _everything_near(table, alpha):
    return _witness.build_sparse(table, alpha, np.ones(table.shape, bool))


@pytest.mark.parametrize("builder", [_everything_near, _witness.build_dense, _witness.build])
@pytest.mark.parametrize(("landmarks", "gamma"), [(3, 0.5), (7, 0.02), (9, 0.1), (9, 1.0)])
def test_simplices_by_the_definition(builder, landmarks, gamma):
    x = _rng(landmarks).normal(size=(40, 3))
    chosen = _rng(1).choice(len(x), landmarks)  # with replacement: repeated landmarks occur
    table = cdist(x[chosen], x)
    alpha = gamma * table.max()
    built = builder(table, alpha)
    assert [_entries(level) for level in built] == _by_definition(table, alpha)
    assert all((np.diff(times) >= 0).all() for _, times in built)


def test_the_cheaper_builder_is_taken(monkeypatch):
    monkeypatch.setattr(_witness, "build_sparse", lambda *_: "sparse")
    monkeypatch.setattr(_witness, "build_dense", lambda *_: "dense")
    x = _rng().normal(size=(200, 2))
    table = cdist(x[:32], x)
    assert (_witness.build(table, 1e-6), _witness.build(table, table.max())) == ("sparse", "dense")


def _betti_1(edges, triangles, size):
    """Edges - rank of their boundary - rank of the triangles' boundary, over Z/2."""
    columns = [1 << a | 1 << b for a, b in edges]
    faces = [sum(1 << edges.index(e) for e in itertools.combinations(t, 2)) for t in triangles]
    return len(edges) - _rank(columns) - _rank(faces)


def _rank(rows):
    pivots = {}
    for row in rows:
        while row and (top := row.bit_length()) in pivots:
            row ^= pivots[top]
        if row:
            pivots[top] = row
    return len(pivots)


@pytest.mark.parametrize("seed", range(6))
def test_holes_by_linear_algebra(seed):
    """At every moment as many intervals are alive as the first Betti number says."""
    x = _rng(seed).random((60, 3))
    table = cdist(x[:12], x)
    edges, triangles = _witness.build(table, 0.3)
    intervals = _persistence.holes(edges, triangles, 0.3)
    moments = np.unique([*edges[1], *triangles[1], 0.3])
    assert len(intervals) > 2
    assert (intervals[:, 0] < intervals[:, 1]).all()  # what is filled at its birth is no hole
    for now in (moments[:-1] + moments[1:]) / 2:
        present = [[s for s, time in _entries(level).items() if time <= now] for level in (edges, triangles)]
        assert ((intervals[:, 0] <= now) & (now < intervals[:, 1])).sum() == _betti_1(*present, len(x))


def test_a_square_without_triangles_has_a_hole_for_ever():
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    between = (corners + np.roll(corners, 1, 0)) / 2
    table = cdist(corners, np.concatenate([corners, between]))
    edges, triangles = _witness.build(table, 0.01)
    assert [level[0].tolist() for level in (edges, triangles)] == [[[0, 1], [0, 3], [1, 2], [2, 3]], []]
    intervals = _persistence.holes(edges, triangles, 0.01)
    assert intervals.tolist() == [[0, 0.01]]
    assert relative_living_times(intervals, 0.01, 3).tolist() == [0, 1, 0]


def test_relative_living_times_by_hand():
    intervals = np.array([[0.0, 0.5], [0.25, 1.0], [0.25, 2.0]])
    assert relative_living_times(intervals, 2.0, 4).tolist() == [0, 0.625, 0.25, 0.125]
    assert relative_living_times(intervals, 2.0, 2).tolist() == [0, 0.625]  # what is not counted is dropped
    assert relative_living_times(np.zeros((0, 2)), 2.0, 3).tolist() == [1, 0, 0]
    assert relative_living_times(np.zeros((0, 2)), 0.0, 3).tolist() == [1, 0, 0]


SETS = {
    "circle": _circle(500, _rng(0)),
    "disc": _disc(1000, _rng(1)),
    "repeated points": np.repeat(_rng(2).normal(size=(100, 3)), 4, 0),
    "784-D": _rng(3).random((600, 784)),
    "planar": _rng(4).random((500, 6)) @ _rng(5).random((6, 784)),
}


@pytest.mark.parametrize(("landmarks", "gamma"), [(64, 1 / 1280), (64, 1 / 128), (32, 1 / 128), (16, 1 / 8)])
@pytest.mark.parametrize("name", SETS)
def test_bits_of_gudhi(name, landmarks, gamma):
    gudhi = pytest.importorskip("gudhi", reason="gudhi is not installed")
    x = SETS[name]
    seeds = SeedSequence(7).spawn(3)
    ours = living_times(x, Options(landmarks=landmarks, gamma=gamma, i_max=100), seeds)
    for mine, seed in zip(ours, seeds):
        distances = cdist(x, x[np.random.default_rng(seed).choice(len(x), landmarks)])
        alpha = distances.max() * gamma
        order = np.argsort(distances, axis=1)
        nearest = np.dstack([order, np.take_along_axis(distances, order, 1)])
        tree = gudhi.WitnessComplex(nearest).create_simplex_tree(max_alpha_square=alpha, limit_dimension=2)
        theirs = {tuple(s): time for s, time in tree.get_filtration() if len(s) > 1}
        built = _witness.build(distances.T.copy(), alpha)
        assert _entries(built[0]) | _entries(built[1]) == theirs
        tree.persistence(homology_coeff_field=2)
        assert mine.tolist() == _slowly(tree.persistence_intervals_in_dimension(1), alpha).tolist()


def _slowly(intervals, alpha):
    """Relative living times by looking at the middle of every stretch between two switches."""
    intervals = [(b, min(d, alpha)) for b, d in intervals]
    switches = sorted({0.0, alpha, *itertools.chain(*intervals)})
    times = np.zeros(300)
    for start, stop in itertools.pairwise(switches):
        times[sum(b <= (start + stop) / 2 < d for b, d in intervals)] += stop - start
    return times[:100] / alpha if intervals else np.eye(1, 100)[0]


def _metric(**options):
    return registry.make("metric", Spec("geometry_score", options))


TOY = {"landmarks": 32, "gamma": 1 / 8, "i_max": 10, "repeats": 15}


@pytest.mark.oracle("metric", "geometry_score")
def test_the_authors_toy_example():
    """Circle against disc, 5,000 points: their notebook prints 1.83."""
    rng = _rng(0)
    circle, disc, again = (torch.from_numpy(shape(5000, rng)) for shape in (_circle, _disc, _circle))
    different, same = _metric(**TOY)(disc, circle), _metric(**TOY)(again, circle)
    assert 1.7 < different["geometry_score"] < 2
    assert same["geometry_score"] < 1e-3
    assert different["geometry_score/x1000"] == 1000 * different["geometry_score"]
    assert different["geometry_score/holes_real"] == pytest.approx(1, abs=0.05)
    assert different["geometry_score/holes_fake"] < 0.3


def test_workers_change_nothing():
    seeds = SeedSequence(3).spawn(5)
    options = Options(landmarks=16, gamma=1 / 64, i_max=10)
    x = _circle(200, _rng(0))
    assert np.array_equal(living_times(x, options, seeds, workers=2), living_times(x, options, seeds))


def test_large_clouds_give_the_same_bits(monkeypatch):
    seeds = SeedSequence(3).spawn(3)
    options = Options(landmarks=16, gamma=1 / 64, i_max=10)
    x = _rng(0).random((200, 50))
    whole = living_times(x, options, seeds)
    monkeypatch.setattr("bench.metrics._living_times._LARGEST", 0)
    assert np.array_equal(living_times(x, options, seeds), whole)


def test_seeds_decide_and_sizes_are_made_equal():
    rng = _rng(0)
    x, y = torch.from_numpy(_circle(120, rng)), torch.from_numpy(_disc(100, rng))
    small = {"landmarks": 16, "repeats": 5, "i_max": 8}
    assert _metric(**small)(x, y) == _metric(**small)(x[:100], y)
    assert _metric(**small)(x, y) != _metric(**small, seed=1)(x, y)
    assert 0 < _metric(**small)(x, x)["geometry_score"] < 0.2  # either side draws its own landmarks


def test_a_collapsed_generator_has_no_holes():
    values = _metric(landmarks=8, repeats=2)(torch.ones(50, 2), torch.from_numpy(_circle(50, _rng(0))))
    assert values["geometry_score/holes_fake"] == 0
    assert all(map(math.isfinite, values.values()))


def test_the_card_holds_what_decides():
    card = _metric().cards(fake=3000, real=1000)["geometry_score"]
    assert card.protocol == {
        "landmarks": 64, "repeats": 1000, "gamma": 1000 / 640_000, "i_max": 100, "seed": 0, "fake": 3000, "real": 1000, "compared": 1000,
    }  # fmt: skip
    assert card.hash == _metric(workers=2).cards(fake=3000, real=1000)["geometry_score"].hash
    assert _metric(gamma=0.5).cards(fake=4, real=4)["geometry_score"].protocol["gamma"] == 0.5


@pytest.mark.parametrize("options", [{"landmarks": 2}, {"repeats": 0}, {"gamma": 0.0}, {"workers": 0}])
def test_options_out_of_range(options):
    with pytest.raises(UsageError, match="at least"):
        _metric(**options)


DATA = Path(os.environ.get("GANBENCH_DATA", "/nowhere")) / "coil20"


@pytest.mark.skipif(not DATA.is_dir(), reason="coil20 is not below GANBENCH_DATA")
def test_turning_objects():
    """The views cover 250 degrees: of an object that looks alike after half a turn they close to a circle, of others they are an arc."""
    from PIL import Image

    alike, lifetime = {}, {}
    for name in range(1, 21):
        views = np.stack([np.asarray(Image.open(DATA / f"obj{name}__{i}.png"), dtype=np.float64).ravel() for i in range(50)])
        table = cdist(views, views)
        alike[name] = np.median(np.diag(table, 36)) / table.max()  # 5 degrees a view
        intervals = _persistence.holes(*_witness.build(table, table.max() / 2), table.max() / 2)
        lifetime[name] = max(np.diff(intervals)[:, 0], default=0) / table.max()
    circles = {name for name, distance in alike.items() if distance < 0.4}
    assert circles == {5, 6, 9, 11, 14, 19}
    assert min(lifetime[name] for name in circles) > 0.25
    assert max(lifetime[name] for name in (1, 2, 4, 12, 15, 16, 17, 20)) < 0.06
