"""Whole metrics beside NumPy and SciPy, from the samples or maps that they are given to the number that they return."""

import numpy as np
import pytest
import scipy.linalg
import torch

from bench import registry


@pytest.fixture
def points():
    """Two sets of points in five dimensions, more than that many in each."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(40, 5, generator=rng), 0.5 + 1.3 * torch.randn(50, 5, generator=rng)


def frechet(fake, real):
    """Eq. 6 of Heusel et al. with a matrix square root."""
    a, b = fake.double().numpy(), real.double().numpy()
    s, t = (np.cov(x, rowvar=False) for x in (a, b))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real))


@pytest.mark.oracle("metric", "fd")
def test_fd_by_a_matrix_square_root(points):
    assert registry.make("metric", "fd[net=pixels]")(*points) == {"fd": pytest.approx(frechet(*points), rel=1e-6)}


@pytest.mark.oracle("metric", "fid")
def test_fid_is_that_distance_in_the_features_of_its_network(points):
    metric = registry.make("metric", "fid")
    vars(metric)["network"] = registry.make("feature", "pixels")
    assert metric(*points) == {"fid": pytest.approx(frechet(*points), rel=1e-6)}


@pytest.mark.oracle("metric", "kd")
def test_kd_pair_by_pair(points):
    fake, real = (x.double().tolist() for x in points)

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / 5 + 1) ** 3

    def mean(pairs):
        values = [kernel(x, y) for x, y in pairs]
        return sum(values) / len(values)

    within = [mean((s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j) for s in (fake, real)]
    expected = sum(within) - 2 * mean((x, y) for x in fake for y in real)
    assert registry.make("metric", "kd[net=pixels]")(*points) == {"kd": pytest.approx(expected, rel=1e-6)}


@pytest.mark.oracle("metric", "mae")
def test_mae_in_numpy():
    maps, masks = torch.rand(2, 3, 1, 8, 9, generator=torch.Generator().manual_seed(0))
    masks = masks.round()
    expected = np.abs(maps.double().numpy() - masks.double().numpy()).mean((1, 2, 3))
    assert registry.make("metric", "mae")(maps, masks).tolist() == pytest.approx(expected.tolist(), rel=1e-12)
