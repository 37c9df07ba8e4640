"""The bound term by term against torch.distributions and closed forms; its optimum against eigenvalues."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from bench import registry
from bench.conformance import checks
from bench.conformance.toys import ToyGeneration
from bench.errors import UsageError
from bench.method import Samples
from methods import elbo


class _Points(ToyGeneration):
    shape = (5,)


class _Line(ToyGeneration):
    shape = (1,)


class _Mnist(ToyGeneration):
    shape = (1, 28, 28)


def _make(name, task, **options):
    torch.manual_seed(0)
    return registry.find("method", name)(task, **options)


def test_divergence():
    mean, log_variance = torch.tensor([[0.5, -1.0, 0.0]]), torch.tensor([[0.0, -1.0, 0.7]])
    assert elbo.kl(mean, log_variance).item() == pytest.approx(0.965816021, abs=1e-7)
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert elbo.kl(mean, log_variance).item() == pytest.approx(theirs.item(), abs=1e-6)


def test_likelihoods():
    torch.manual_seed(0)
    mean, x = torch.rand(4, 1, 3, 3), torch.rand(4, 1, 3, 3)
    coins = (x > 0.5).float()
    assert torch.allclose(elbo.Bernoulli()(coins, mean), Bernoulli(mean).log_prob(coins).flatten(1).sum(1))
    sure = torch.tensor([[0.0, 1.0, math.nan]])
    assert torch.allclose(elbo.Bernoulli()(sure[:, :2], sure[:, :2]), torch.zeros(1), atol=1e-6)
    assert elbo.Bernoulli()(1 - sure[:, :2], sure[:, :2]).isfinite()
    assert elbo.Bernoulli()(sure.nan_to_num(), sure).isnan()  # no error, so that training can say that it diverged
    gaussian = elbo.Gaussian()
    torch.nn.init.constant_(gaussian.log_variance, -0.7)
    assert torch.allclose(gaussian(x, mean), Normal(mean, math.exp(-0.35)).log_prob(x).flatten(1).sum(1), atol=1e-5)


def test_draws_have_the_variance_that_was_learned_and_pictures_none():
    torch.manual_seed(0)
    sure = torch.tensor([[0.0, 1.0, math.nan]])
    assert torch.allclose(elbo.Bernoulli()(sure[:, :2], sure[:, :2]), torch.zeros(1), atol=1e-6)
    assert elbo.Bernoulli()(1 - sure[:, :2], sure[:, :2]).isfinite()
    assert elbo.Bernoulli()(sure.nan_to_num(), sure).isnan()  # no error, so that training can say that it diverged
    gaussian = elbo.Gaussian()
    torch.nn.init.constant_(gaussian.log_variance, math.log(0.25))
    assert gaussian.draw(torch.ones(20_000, 2)).std().item() == pytest.approx(0.5, rel=0.02)
    assert torch.equal(gaussian.draw(torch.ones(2, 1, 4, 4)), torch.ones(2, 1, 4, 4))


@pytest.mark.parametrize(
    ("mean", "variance", "bound"),
    [(0.4528301887, 0.1509433962, -1.526973070), (0.0, 1.0, -4.073293)],
    ids=["the posterior", "the prior"],
)
def test_the_gap_is_the_divergence_from_the_posterior(mean, variance, bound):
    """p(x|z) = N(1.5 z, 0.4), x = 0.8: log p(x) = log N(0.8; 0, 2.65)."""
    vae = _make("linear_vae", _Line(), latent=1)
    for parameter, value in (
        (vae.G.weight, 1.5), (vae.G.bias, 0.0), (vae.likelihood.log_variance, math.log(0.4)),
        (vae.E.mean.weight, 0.0), (vae.E.mean.bias, mean), (vae.E.log_variance, math.log(variance)),
    ):  # fmt: skip
        torch.nn.init.constant_(parameter, value)
    likelihood, divergence = vae.bound(torch.tensor([[0.8]]))
    assert (likelihood - divergence).item() == pytest.approx(bound, abs=1e-5)
    posterior = Normal(0.4528301887, 0.1509433962**0.5)
    gap = kl_divergence(Normal(mean, variance**0.5), posterior).item()
    assert (likelihood - divergence).item() == pytest.approx(Normal(0.0, 2.65**0.5).log_prob(torch.tensor(0.8)).item() - gap, abs=1e-5)


def test_the_linear_optimum_is_probabilistic_pca():
    """Tipping and Bishop 1999: the variance is the mean of the eigenvalues left out, and no bound can exceed the likelihood."""
    torch.manual_seed(0)
    x = torch.randn(2000, 2) @ torch.tensor([[2.0, 1, 0, -1, 1], [0, 1, -1.5, 0.5, 1]]) + 0.5 * torch.randn(2000, 5) + torch.arange(5.0)
    mean, covariance = x.mean(0), torch.cov(x.T, correction=0).double()
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    variance = values[:3].mean()
    w = vectors[:, 3:] * (values[3:] - variance).sqrt()
    best = MultivariateNormal(mean.double(), w @ w.T + variance * torch.eye(5, dtype=torch.float64)).log_prob(x.double()).mean().item()
    vae = _make("linear_vae", _Points(), steps=2000)
    *_, last = vae.train(iter(lambda: Samples(x), None))
    assert best - 1e-4 < last["elbo"].item() < best + 1e-5
    assert vae.likelihood.log_variance.exp().item() == pytest.approx(variance.item(), rel=1e-3)
    learned = vae.G.weight.detach().double()
    assert torch.allclose(learned @ learned.T, w @ w.T, atol=0.01)
    gram = vae.G.weight.detach().T @ vae.G.weight.detach()  # diagonal: D turns the columns to the eigenvectors
    assert gram[0, 1].abs() < 0.05
    assert gram.diag().sort().values.tolist() == pytest.approx((values[3:] - variance).tolist(), rel=1e-2)
    samples = vae.sample(50_000)
    assert torch.allclose(torch.cov(samples.T).double(), covariance, atol=0.15)


@pytest.mark.parametrize(("hidden", "parameters"), [(400, 652_824), (500, 815_824)])
def test_size_of_the_network(hidden, parameters):
    vae = _make("vae", _Mnist(), hidden=hidden)
    assert sum(p.numel() for network in vae.networks().values() for p in network.parameters()) == parameters


def test_bound_by_hand():
    vae = _make("vae", ToyGeneration(), hidden=8, latent=3)
    x = torch.rand(4, 1, 16, 16)
    torch.manual_seed(1)
    likelihood, divergence = vae.bound(x)
    torch.manual_seed(1)
    mean, log_variance = vae.E(x).chunk(2, dim=1)
    q = Normal(mean, (0.5 * log_variance).exp())
    y = vae.G(q.loc + q.scale * torch.randn(4, 3))
    assert torch.allclose(likelihood, (x * y.log() + (1 - x) * (1 - y).log()).sum((1, 2, 3)), rtol=1e-4)
    assert torch.allclose(divergence, kl_divergence(q, Normal(0.0, 1.0)).sum(1), atol=1e-5)
    assert likelihood.requires_grad


def test_it_learns_what_the_data_are():
    """One bright row in ten: samples of the trained decoder lie nearer to a real picture than those of a new one."""
    torch.manual_seed(0)
    task = ToyGeneration()
    real = task.batch(500, torch.Generator().manual_seed(1)).x
    distances = []
    for steps in (0, 150):
        vae = _make("vae", task, hidden=64, latent=8, steps=steps, optimizer="adam[lr=5e-3]")
        rng = torch.Generator().manual_seed(0)
        logs = list(vae.train(iter(lambda: task.batch(64, rng), None)))  # noqa: B023
        distances.append(torch.cdist(vae.sample(100).flatten(1), real.flatten(1)).min(1).values.mean().item())
    assert logs[-1]["elbo"] > logs[0]["elbo"] + 10
    assert distances[1] < 0.8 * distances[0]


@pytest.mark.parametrize(
    ("task", "options", "likelihood"),
    [
        (ToyGeneration, {}, "Bernoulli"),
        (ToyGeneration, {"likelihood": "gaussian"}, "Gaussian"),
        (ToyGeneration, {"network": "task"}, "Bernoulli"),
        (_Points, {}, "Gaussian"),
    ],
)
def test_samples(task, options, likelihood):
    vae = _make("vae", task(), **options)
    assert type(vae.likelihood).__name__ == likelihood
    y = vae.sample(7)
    assert y.shape == (7, *task.shape)
    if len(task.shape) > 1:
        assert 0 <= y.min() <= y.max() <= 1


def test_the_networks_of_the_task():
    vae = _make("vae", ToyGeneration(), network="task")
    assert type(vae.G) is type(ToyGeneration().generator())
    assert vae.E(torch.rand(2, 1, 16, 16)).shape == (2, 16)


def test_points_are_no_coins():
    with pytest.raises(UsageError, match="gaussian"):
        _make("vae", _Points(), likelihood="bernoulli")


@pytest.mark.parametrize("options", [{"network": "task"}, {"likelihood": "gaussian"}])
def test_the_other_choices_resume_exactly(options, tmp_path):
    finals = []
    for cut in (None, 2):
        folder = tmp_path / str(cut)
        folder.mkdir()
        if cut:
            checks.train(checks.make("vae", **options), folder, stop_at=cut)
        method = checks.make("vae", **options)
        checks.train(method, folder)
        finals.append(checks.fingerprint(method))
    assert finals[0] == finals[1]
