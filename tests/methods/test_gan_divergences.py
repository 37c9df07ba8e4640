"""The table of f-GAN: each row against brute force, quadrature and hand values; the method against the losses of 2014."""

import math

import pytest
import torch
from scipy.special import wrightomega

from bench import registry
from bench.conformance import checks
from bench.errors import UsageError
from methods.gan._divergences import DIVERGENCES, alpha_divergence, weighted_jensen_shannon

ROWS = DIVERGENCES | {
    "alpha 0.5": alpha_divergence(0.5), "alpha 2": alpha_divergence(2.0), "alpha -1": alpha_divergence(-1.0),
    "alpha 3": alpha_divergence(3.0),
    "js_weighted 0.3": weighted_jensen_shannon(0.3), "js_weighted 0.5": weighted_jensen_shannon(0.5),
}  # fmt: skip
SLOPE_AT_ONE = {"kl": 1.0, "reverse_kl": -1.0, "gan": -math.log(2)}
GAUSSIANS = {  # D_f(N(0, 1) || N(1, 1))
    "tv": 0.382925, "kl": 0.5, "reverse_kl": 0.5, "pearson": math.e - 1, "neyman": math.e - 1, "hellinger": 2 * (1 - math.exp(-1 / 8)),
    "jeffrey": 1.0, "js": 0.222843, "gan": -1.163451, "alpha 0.5": 0.470012, "alpha 2": 0.859141,
}  # fmt: skip
V = torch.linspace(-6, 6, 241, dtype=torch.float64)


def _inside(name: str) -> torch.Tensor:
    """Points where the tables' formula is the conjugate: values of the activation, for Pearson and alpha > 1 those that some T* reaches."""
    t = ROWS[name].activation(V)
    return t[t >= {"pearson": -2.0, "alpha 2": -1.0, "alpha 3": -0.5}.get(name, -math.inf)]


@pytest.mark.parametrize("name", ROWS)
def test_conjugates_against_brute_force(name):
    t = _inside(name)
    t = t[(t.abs() < 5) & (t.abs() > 1e-3)][::9]
    u = torch.logspace(-7, 7, 200_001, dtype=torch.float64)
    best = torch.stack([(s * u - ROWS[name].f(u)).max() for s in t])
    assert torch.allclose(ROWS[name].conjugate(t), best, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_slopes_are_derivatives(name):
    u = torch.tensor([0.01, 0.3, 0.9, 1.7, 40.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(ROWS[name].f(u).sum(), u)
    assert torch.allclose(ROWS[name].slope(u.detach()), slope, rtol=1e-10)


@pytest.mark.parametrize("name", ROWS)
def test_values_at_one(name):
    one = torch.ones(1, dtype=torch.float64)
    assert ROWS[name].f(one).item() == pytest.approx(-math.log(4) if name == "gan" else 0, abs=1e-12)
    assert ROWS[name].slope(one).item() == pytest.approx(SLOPE_AT_ONE.get(name, 0), abs=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_activations_increase_and_stay_in_the_domain(name):
    t = ROWS[name].activation(V)
    low, high = ROWS[name].domain
    assert low < t.min()
    assert t.max() < high
    assert (t.diff() > 0).all()


@pytest.mark.parametrize("name", ROWS)
def test_composition_is_conjugate_of_activation(name):
    v = V.clone().requires_grad_()
    direct, stable = ROWS[name].conjugate(ROWS[name].activation(v)), ROWS[name].composed(v)
    assert torch.allclose(stable, direct, rtol=1e-9, atol=1e-9)
    (a,), (b,) = (torch.autograd.grad(y.sum(), v) for y in (direct, stable))
    assert torch.allclose(a, b, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ROWS)
def test_composition_is_finite_for_far_critics_in_single_precision(name):
    v = torch.tensor([-60.0, 60.0], requires_grad=True)
    y = ROWS[name].composed(v)
    (slope,) = torch.autograd.grad(y.sum(), v)
    assert y.isfinite().all()
    assert slope.isfinite().all()
    assert y.dtype == torch.float32


def _gaussians() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = torch.linspace(-11, 12, 40_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, 1))
    return x, p, q


@pytest.mark.parametrize("name", GAUSSIANS)
def test_value_between_gaussians(name):
    x, p, q = _gaussians()
    assert torch.trapezoid(q * ROWS[name].f(p / q), x).item() == pytest.approx(GAUSSIANS[name], abs=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_bound_is_tight_at_the_slope_and_loose_elsewhere(name):
    x, p, q = _gaussians()
    row = ROWS[name]

    def bound(t: torch.Tensor) -> float:
        return torch.trapezoid(p * t - q * row.conjugate(t), x).item()

    value = torch.trapezoid(q * row.f(p / q), x).item()
    assert bound(row.slope(p / q)) == pytest.approx(value, abs=1e-6)
    low, high = row.domain
    for v in (-x / 4, x * 0, (0.5 - x) / 2):
        assert bound(row.activation(v).clamp(low, high)) <= value + 1e-6


MIXTURE = {  # the best N(mu, sigma^2) for 0.33 N(-1, 0.065) + 0.67 N(2, 2): divergence, mu, sigma
    "kl": (0.2831, 1.0100, 1.8307), "reverse_kl": (0.2482, 1.5781, 1.6312), "js": (0.1281, 1.3068, 1.7540),
    "jeffrey": (0.5708, 1.3216, 1.7029),
    "pearson": (0.6458, 0.5737, 1.9273), "neyman": (0.4052, 1.8248, 1.5186), "hellinger": (0.1347, 1.3129, 1.7326),
    "tv": (0.2396, 1.3381, 1.8789),
    "gan": (-1.2582, 1.3068, 1.7540),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURE)
def test_the_best_gaussian_for_a_mixture(name):
    x = torch.linspace(-30, 32, 60_001, dtype=torch.float64)

    def normal(mean: float, variance: float) -> torch.Tensor:
        return torch.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)

    p = 0.33 * normal(-1, 0.065) + 0.67 * normal(2, 2)

    def value(mu: float, sigma: float) -> float:
        q = normal(mu, sigma**2)
        return torch.trapezoid(q * ROWS[name].f(p / q), x).item()

    best, mu, sigma = MIXTURE[name]
    assert value(mu, sigma) == pytest.approx(best, abs=1e-4)
    for dm, ds in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        assert value(mu + dm, sigma + ds) > value(mu, sigma)


def test_relations_between_rows():
    u = torch.logspace(-3, 3, 50, dtype=torch.float64)
    f = {name: row.f(u) for name, row in ROWS.items()}
    for whole, parts in [
        ("jeffrey", f["kl"] + f["reverse_kl"]), ("js", 2 * f["js_weighted 0.5"]), ("js", f["gan"] + (u + 1) * math.log(2)),
        ("alpha 0.5", 2 * f["hellinger"]), ("alpha 2", f["pearson"] / 2), ("alpha -1", f["neyman"] / 2),
    ]:  # fmt: skip
        assert torch.allclose(f[whole], parts, rtol=1e-9, atol=1e-12), whole


def test_jeffrey_against_wright_omega():
    t = torch.tensor([-300.0, -30, -2, 0, 0.5, 1, 2, 5, 30], dtype=torch.float64, requires_grad=True)
    w = torch.from_numpy(wrightomega(1 - t.detach().numpy()))
    y = DIVERGENCES["jeffrey"].conjugate(t)
    (slope,) = torch.autograd.grad(y.sum(), t)
    assert torch.allclose(y.detach(), w + 1 / w + t.detach() - 2, rtol=1e-12)
    assert torch.allclose(slope, 1 / w, rtol=1e-10)


def _gradients(m, loss, network):
    return torch.autograd.grad(loss, list(getattr(m, network).parameters()), retain_graph=True)


@pytest.mark.parametrize(("surrogate", "game"), [(False, "saturating"), (True, "nonsaturating")])
def test_the_gan_row_is_the_game_of_2014(surrogate, game):
    m = checks.make("fgan", divergence="gan", surrogate=surrogate)
    batch = m.task.batch(8, torch.Generator().manual_seed(0))
    y = m.fake(8)
    m.fake = lambda n: y
    loss = registry.make("adversarial", game)
    for ours, theirs, network in zip(m.losses(batch), (loss.critic(m.D, batch.x, y), loss.generator(m.D, y, batch.x)), "DG"):
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
        for a, b in zip(_gradients(m, ours, network), _gradients(m, theirs, network)):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("divergence", ["kl", "js"])
def test_algorithm_1_moves_both_players_along_the_gradients_at_one_point(divergence):
    m = checks.make("fgan", divergence=divergence, optimizer="sgd[lr=0.01]", steps=1)
    batch = m.task.batch(4, torch.Generator().manual_seed(0))
    y = m.fake(4)
    m.fake = lambda n: y
    row = DIVERGENCES[divergence]
    F = row.activation(m.D(batch.x)).mean() - row.conjugate(row.activation(m.D(y))).mean()
    expected = [p.detach() - 0.01 * g for p, g in zip(m.G.parameters(), _gradients(m, F, "G"))]
    expected += [p.detach() + 0.01 * g for p, g in zip(m.D.parameters(), _gradients(m, F, "D"))]
    (log,) = m.train(iter([batch]))
    assert all(torch.allclose(p, e, atol=1e-6) for p, e in zip([*m.G.parameters(), *m.D.parameters()], expected))
    assert log["critic"].item() == pytest.approx(-F.item(), abs=2e-6)  # 0.016 is the difference of two float32 of order 1


@pytest.mark.parametrize(
    "options",
    [{"divergence": "wasserstein"}, {"divergence": "alpha", "alpha": 1.0}, {"divergence": "js_weighted", "pi": 1.0}],
)
def test_unknown_divergences_are_refused(options):
    with pytest.raises(UsageError, match="fgan: "):
        checks.make("fgan", **options)


@pytest.mark.parametrize("options", [{"divergence": "alpha", "alpha": 2.0}, {"divergence": "js_weighted", "pi": 0.3}])
def test_parameters_reach_the_row(options):
    m = checks.make("fgan", **options)
    name, value = options["divergence"], next(v for k, v in options.items() if k != "divergence")
    u = torch.tensor([0.3, 2.0])
    assert torch.equal(m.divergence.f(u), ROWS[f"{name} {value:g}"].f(u))
