import math

import pytest
import torch

from bench import registry
from bench.errors import UsageError
from datasets.reading.points import PointSource

NAMES = [n for n in registry.names("dataset") if isinstance(p := registry.find("dataset", n), type) and issubclass(p, PointSource)]
PLANE = [n for n in NAMES if n != "gauss_mixture"]


def make(spec):
    return registry.make("dataset", spec)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def grid(side, half):
    ticks = ((torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1) * half
    return torch.cartesian_prod(ticks, ticks), (2 * half / side) ** 2


def test_there_are_six():
    assert NAMES == ["gauss_mixture", "grid", "ring", "spiral", "swiss_roll", "two_moons"]


@pytest.mark.parametrize("spec", ["ring[std=0.1]", "grid[std=0.1]", "spiral[std=0.1]", "swiss_roll[std=0.08]", "two_moons"])
def test_densities_integrate_to_one(spec):
    points, area = grid(
        *((140, 5.0) if spec.startswith("grid") else (110, 3.0)),
    )  # a step below one standard deviation: exact to far below 1e-4
    assert make(spec).log_density(points).exp().sum() * area == pytest.approx(1, abs=1e-4)


def test_the_line_density_integrates_to_one():
    x = torch.linspace(-15, 15, 6001, dtype=torch.float64)[:, None]
    assert torch.trapezoid(make("gauss_mixture").log_density(x).exp(), x[:, 0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", PLANE)
def test_sampling_matches_the_density(name):
    """Shares of 12 x 12 cells against the integral of the density over them: chi squared of n draws."""
    source, n, cells = make(name if name != "ring" else "ring[std=0.1]"), 20_000, 12
    half = 5.0 if name == "grid" else 2.6
    x = source.draw(n, rng(3)).x.double()
    at = ((x / half + 1) / 2 * cells).floor().long()
    assert ((at >= 0) & (at < cells)).all(1).double().mean() > 0.9999
    inside = at[((at >= 0) & (at < cells)).all(1)]
    seen = (inside[:, 0] * cells + inside[:, 1]).bincount(minlength=cells**2)
    fine = 25 if name == "grid" else 9
    points, area = grid(cells * fine, half)
    p = source.log_density(points).exp().reshape(cells, fine, cells, fine).sum((1, 3)).flatten() * area
    likely = p * n > 5
    chi = ((seen - n * p).square() / (n * p))[likely].sum()
    freedom = int(likely.sum()) - 1
    assert chi < freedom + 5 * math.sqrt(2 * freedom)
    assert seen[~likely].sum() < 8 * cells**2


@pytest.mark.oracle("dataset", "two_moons", "swiss_roll")
def test_the_curves_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons, make_swiss_roll

    moons, _ = make_moons(400, shuffle=False, noise=None)
    curves = make("two_moons").curves(torch.linspace(0, 1, 200, dtype=torch.float64))
    assert torch.allclose(curves.flatten(0, 1), torch.from_numpy(moons), atol=1e-12)
    roll, t = make_swiss_roll(300, noise=0.0, random_state=0)
    u = (torch.from_numpy(t) / (1.5 * math.pi) - 1) / 2
    assert torch.allclose(make("swiss_roll").curves(u)[0], torch.from_numpy(roll[:, [0, 2]]) / 7.5, atol=1e-12)


@pytest.mark.oracle("dataset", "gauss_mixture")
def test_a_mixture_has_the_closed_form_density():
    source = make("gauss_mixture")
    x = torch.tensor([[-1.0], [0.3], [2.0]], dtype=torch.float64)
    p = 0.33 * torch.distributions.Normal(-1, 0.065**0.5).log_prob(x).exp() + 0.67 * torch.distributions.Normal(2, 2**0.5).log_prob(x).exp()
    assert torch.allclose(source.log_density(x), p.log()[:, 0], atol=1e-7)
    drawn = source.draw(40_000, rng()).x.double()
    assert drawn.mean() == pytest.approx(1.0100, abs=0.03)  # moments of the f-GAN paper's KL row
    assert drawn.std() == pytest.approx(1.8307, abs=0.03)


@pytest.mark.oracle("dataset", "spiral")
def test_a_curve_density_against_brute_force():
    source, x = make("spiral"), torch.tensor([[0.5, 0.4], [-1.0, 0.2], [0.0, 0.0]], dtype=torch.float64)
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    places = source.curves(u)
    for point, value in zip(x, source.log_density(x).exp(), strict=True):
        kernel = (-(places - point).square().sum(2) / (2 * source.std**2)).exp() / (2 * math.pi * source.std**2)
        assert kernel.mean() == pytest.approx(float(value), rel=1e-4)


@pytest.mark.oracle("dataset", "ring")
def test_ring_has_as_many_distinct_modes_as_it_says():
    """The authors' notebook spaces its angles by linspace(0, 2 pi, 8), which doubles the first mode."""
    centres = make("ring").centres()
    assert centres.shape == (8, 2)
    assert torch.allclose(centres.norm(dim=1), torch.full((8,), 2.0))
    assert torch.cdist(centres, centres).fill_diagonal_(9).min() == pytest.approx(4 * math.sin(math.pi / 8))
    assert centres[0].tolist() == [2, 0]


@pytest.mark.oracle("dataset", "grid")
def test_grid_is_that_of_veegan():
    centres = make("grid").centres()
    assert sorted(map(tuple, centres.tolist())) == [(float(x), float(y)) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert make("grid").std == 0.05


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_labels_are_modes_and_shares_are_even(name):
    source = make(name)
    drawn = source.draw(20_000, rng())
    nearest = torch.cdist(drawn.x, source.centres()).argmin(1)
    assert torch.equal(nearest, drawn.labels)
    share = drawn.labels.bincount() / 20_000
    assert torch.allclose(share, torch.full_like(share, 1 / len(share)), atol=0.015)


@pytest.mark.parametrize("name", NAMES)
def test_draws_follow_from_the_seed_alone(name):
    source = make(name)
    first, again, other = (source.draw(64, rng(seed)).x for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    source.draw(8, rng())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_options_enter_the_fingerprint():
    specs = ["ring", "ring[std=0.1]", "ring[radius=1]", "ring[modes=7]", "grid"]
    assert len({make(s).fingerprint() for s in specs}) == len(specs)
    assert make("ring").fingerprint() == make("ring[std=0.02]").fingerprint()


@pytest.mark.parametrize(
    "spec",
    ["ring[std=0]", "ring[modes=0]", "grid[side=0]", "spiral[arms=0]", "gauss_mixture[stds=(1.0,)]", "gauss_mixture[stds=(1.0,-1.0)]"],
)
def test_bad_options_are_refused(spec):
    with pytest.raises(UsageError, match="must be"):
        make(spec)
