"""Gradient noise against closed forms: regression on Gaussian inputs, noise of known covariance, tails of known weight."""

import itertools
import math

import pytest
import torch
from torch import nn

from bench import registry
from bench.analysis import gradient_noise
from bench.conformance import checks
from bench.task import Stream

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def opened(spec):
    task = registry.make("task", spec)
    task.open(None, torch.device("cpu"))
    return task


def descent(task, **hp):
    torch.manual_seed(0)
    return registry.find("method", "descent")(task, **{"steps": 5, "batch_size": 4, "optimizer": "sgd[lr=0.1]", **hp})


def measured(method, batches, monkeypatch):
    """The mean of five measurements at the start."""
    monkeypatch.setattr(gradient_noise, "BATCHES", batches)
    found = [gradient_noise.measure(method, seed, "start") for seed in range(5)]
    return {k.removeprefix("noise/start/"): sum(f[k] for f in found) / 5 for k in found[0]}


# -- the estimates
def test_the_definition_pair_by_pair():
    g = normal(5, 3)
    away = [x - sum(g) / 5 for x in g]
    variance = sum(float(x @ x) for x in away) / 4
    signal = float(sum(g) @ sum(g)) / 25 - variance / 5
    pairs = [float((x @ x) * (y @ y) + 2 * (x @ y) ** 2) for x, y in itertools.permutations(away, 2)]
    found = gradient_noise.estimate(g, 7)
    assert found.scale == pytest.approx(7 * variance / max(signal, variance / 5))
    assert found.tail == pytest.approx(sum(float(x @ x) ** 2 for x in away) / 5 / (sum(pairs) / 20))


@pytest.mark.parametrize("spread", [[1.0], [1.0] * 50, [10.0, 1.0, 0.1], [3.0] + [0.3] * 20], ids=len)
def test_gaussian_noise_has_tail_1_whatever_its_covariance(spread):
    spread = torch.tensor(spread, dtype=F64)
    found = gradient_noise.estimate(20 + spread * normal(2000, len(spread)), 8)
    assert found.tail == pytest.approx(1, abs=0.08)
    assert found.scale == pytest.approx(8 * float(spread.square().sum()) / (400 * len(spread)), rel=0.06)


def test_the_mean_of_the_sample_biases_a_gaussian_tail_by_what_is_said():
    """Of the expected sums over few gradients, in one dimension and in ten: (k - 1)^2 / ((k - 1)^2 + 2)."""
    for d, k in ((1, 4), (10, 3)):
        g = normal(40_000, k, d, seed=d)
        away = g - g.mean(1, keepdim=True)
        squares, products = away.square().sum(2), away @ away.mT
        pairs = squares[:, :, None] * squares[:, None] + 2 * products.square()
        off = (pairs.sum((1, 2)) - pairs.diagonal(dim1=1, dim2=2).sum(1)) / (k * (k - 1))
        assert float(squares.square().mean() / off.mean()) == pytest.approx((k - 1) ** 2 / ((k - 1) ** 2 + 2), rel=0.02)


@pytest.mark.parametrize("d", [1, 20])
def test_a_heavy_tail_weighs_what_its_mixture_weighs(d):
    """Gaussian times r with r^2 = 1 or, one time in ten, 6: E r^4 / (E r^2)^2 = 4.5 / 1.5^2."""
    r = torch.where(torch.rand(4000, 1, dtype=F64, generator=torch.Generator().manual_seed(1)) < 0.1, math.sqrt(6), 1.0)
    assert gradient_noise.estimate(r * normal(4000, d), 1).tail == pytest.approx(2, rel=0.1)


def test_a_tail_without_moments_is_far_from_gaussian():
    cauchy = normal(500, 3) / normal(500, 1, seed=1)
    assert gradient_noise.estimate(cauchy, 1).tail > 10


def test_no_noise_and_no_gradient():
    still = gradient_noise.estimate(torch.ones(6, 3), 2)
    assert still.scale == 0
    assert math.isnan(still.tail)
    lost = gradient_noise.estimate(torch.cat([normal(5, 4), -normal(5, 4)]), 2)  # the mean is 0
    assert lost.scale == 20  # all that was looked at


# -- the measurement
class Regression:
    """Half the squared error of a line through Gaussian inputs: at distance w from the truth an example's gradient is x (x'w + sigma e)."""

    averages, device, sigma, w = True, torch.device("cpu"), 0.5, torch.tensor([1.0, -2.0, 0.5], dtype=F64)

    def model(self):
        line = nn.Linear(3, 1, bias=False, dtype=F64)
        with torch.no_grad():
            line.weight.copy_(self.w)
        return line

    def batch(self, n, rng):
        return torch.randn(n, 3, dtype=F64, generator=rng), self.sigma * torch.randn(n, dtype=F64, generator=rng)

    def loss(self, model, batch):
        x, e = batch
        return (model(x)[:, 0] + e).square().mean() / 2


@pytest.mark.parametrize("batch_size", [1, 16])
def test_linear_regression(monkeypatch, batch_size):
    """G = w, tr Sigma = (d + 1) |w|^2 + d sigma^2, whatever the size of a batch."""
    task = Regression()
    found = measured(descent(task, batch_size=batch_size), 1500, monkeypatch)
    squared = float(task.w @ task.w)
    assert found["scale"] == pytest.approx(4 + 3 * task.sigma**2 / squared, rel=0.05)
    assert found["noise/examples"] == 1500 * batch_size
    assert found["tail"] > (
        1.5 if batch_size == 1 else 1.02
    )  # one example's gradient is a product of Gaussians; a mean of sixteen is nearer to one


def test_every_examples_gradient_one_by_one(monkeypatch):
    """The classifier's own data: (p - y) x of each training example, written down."""
    task = opened("sparse_logistic[count=50,features=20]")
    found = measured(descent(task), 1000, monkeypatch)
    shown = task.examples("train")
    wrong = 0.5 - nn.functional.one_hot(shown.labels, 2).float()  # at weights 0
    each = torch.cat([(wrong[:, :, None] * shown.x[:, None]).flatten(1), wrong], 1)
    scale = each.var(0, unbiased=False).sum() / each.mean(0).square().sum()
    assert found["scale"] == pytest.approx(float(scale), rel=0.05)


def test_noise_that_a_landscape_adds(monkeypatch):
    method = descent(task := opened("landscape[function=quadratic,noise=3.0]"))
    places = len(method.model.trail.points)
    found = measured(method, 1000, monkeypatch)
    (gradient,) = torch.autograd.grad(task.loss(method.model.eval(), torch.zeros(1, 2, dtype=F64)), [method.model.w])
    assert found["scale"] == pytest.approx(2 * 3**2 / float(gradient @ gradient), rel=0.1)
    assert found["tail"] == pytest.approx(1, abs=0.06)
    assert len(method.model.trail.points) == places


@pytest.mark.parametrize("spec", ["landscape", "interpolate[examples=20,p=0.8]", "online[problem=reddi_stochastic]"])
def test_losses_that_average_no_independent_examples_are_not_measured(spec):
    assert gradient_noise.measure(descent(opened(spec)), 0, "start") == {}


class Stateful(Regression):
    """A model in which every pass in training mode leaves a trace."""

    def model(self):
        return nn.Sequential(nn.Linear(3, 8, dtype=F64), nn.BatchNorm1d(8, dtype=F64), nn.Dropout(), nn.Linear(8, 1, dtype=F64))


def test_a_measurement_leaves_no_trace():
    method = descent(Stateful())
    method.model.eval()
    before, dice = checks.fingerprint(method), torch.get_rng_state()
    first = gradient_noise.measure(method, 3, "end")
    assert checks.fingerprint(method) == before
    assert torch.equal(torch.get_rng_state(), dice)
    assert not any(m.training for m in method.model.modules())
    assert all(p.grad is None for p in method.model.parameters())
    torch.rand(5)
    assert gradient_noise.measure(method, 3, "end") == first  # its own seed, whatever was drawn meanwhile
    assert gradient_noise.measure(method, 4, "end") != first


def test_a_measurement_has_batches_of_its_own():
    class Seen(Regression):
        def batch(self, n, rng):
            seen.append(super().batch(n, rng)[0])
            return super().batch(n, rng)

    task, seen = Seen(), []
    gradient_noise.measure(descent(task), 0, "start")
    measured = list(seen)
    seen.clear()
    stream = Stream(task, 0, 4)
    for _ in range(gradient_noise.BATCHES):
        next(stream)
    assert len(measured) == len(seen) == gradient_noise.BATCHES
    assert not any(torch.equal(a, b) for a in measured for b in seen)


# -- in a trial
SUITE = """
title = "A tiny suite"
references = ["adam"]
axes.optimizer = ["adam"]
[[workloads]]
name = "mlp"
task = "learn[network=mlp,width=8]"
method = "descent"
sort = "accuracy"
[tuning]
rule = "quasirandom"
spaces.moments = { rules = ["adam"], ranges = { lr = [1e-3, 1e-1] } }
[tiers.smoke]
evaluations = 2
hp = { steps = 20, batch_size = 16 }
tuning = { trials = 1, studies = 1 }
"""


def test_training_does_not_notice(tiny, tmp_path, database, monkeypatch):
    """Curves, scores and final weights to the bit; the rows alone are measured, and not on training's time."""
    kept, told = [], []
    for name, measured in (("with", True), ("without", False)):
        bench = type(tiny)(tmp_path / name, SUITE, database=database)
        if not measured:
            monkeypatch.setattr(gradient_noise, "measure", lambda *given: {})
        (record,), _ = bench.run()
        weights = next((bench.out / "tiny" / "trials").rglob("last.safetensors")).read_bytes()
        points = record.curves.drop(columns="seconds").to_dict("list")
        kept.append((weights, points, record.final, record.best))
        told.append(record)
    assert kept[0] == kept[1]
    keys = {k for k in told[0].summary if k.startswith("noise/")}
    assert keys == {"noise/examples", "noise/start/scale", "noise/start/tail", "noise/end/scale", "noise/end/tail"}
    assert not [k for k in told[1].summary if k.startswith("noise/")]
