"""Noise to samples: the tables of DDPM, velocities with a closed form, straight lines, networks that see times."""

import pytest
import torch

from bench import registry
from bench.conformance import checks
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.task import Stream
from methods.flows.ddpm import _abars, _posterior
from methods.flows.flow_matching import _pair
from methods.networks.timed import TimedUNet, embed

ABAR = _abars(1e-4, 0.02, 1000)


def on_points(name, **options):
    """A method on points of a task whose samples are two numbers."""
    task = registry.make("task", "toy2d")
    task.open(None, torch.device("cpu"))
    cls = registry.find("method", name)
    return cls(task, **{**cls.toy, **options})


class Linear(torch.nn.Module):
    """The network that would be best on a law with a closed form."""

    def __init__(self, best):
        super().__init__()
        self.best = best

    def forward(self, x, t):
        return self.best(x, t[:, None].double())


def test_what_is_kept_of_a_sample():
    assert (ABAR[0], ABAR[499], ABAR[999]) == (
        pytest.approx(0.9999),
        pytest.approx(0.0785872, rel=1e-6),
        pytest.approx(4.0358e-5, rel=1e-5),
    )


def test_the_variance_of_a_step_back():
    variances = [_posterior(ABAR[t - 1], ABAR[t - 2] if t > 1 else 1.0)[2] for t in (1, 2, 1000)]
    assert variances == [0, pytest.approx(5.4532e-5, rel=1e-4), pytest.approx(0.0199999835, rel=1e-8)]


@pytest.mark.parametrize(
    ("s", "kind", "deviation"),
    [(1, "beta", 0.99995), (1, "posterior", 0.99552367), (0.5, "beta", 0.50075151), (0.5, "posterior", 0.49611008)],
)
def test_the_chain_over_a_gaussian(s, kind, deviation):
    """Under the best eps every step is linear: the deviation after 1,000 of them from N(0, 1), without noise in the last."""
    variance = 1.0
    for t in range(1000, 0, -1):
        abar, before = ABAR[t - 1], ABAR[t - 2] if t > 1 else 1.0
        of_x_0, of_x_t, noise = _posterior(abar, before)
        eps = (1 - abar) ** 0.5 / (abar * s**2 + 1 - abar)
        x_0 = (1 - (1 - abar) ** 0.5 * eps) / abar**0.5
        noise = 1 - abar / before if kind == "beta" else noise
        variance = (of_x_0 * x_0 + of_x_t) ** 2 * variance + noise * (t > 1)
    assert variance**0.5 == pytest.approx(deviation, abs=1e-8)


@pytest.mark.parametrize("kind", ["beta", "posterior"])
def test_steps_back_are_those_of_algorithm_2(kind):
    m = on_points("ddpm", levels_of_noise=20, sampling=20, variance=kind)
    m.G = Linear(lambda x, t: x * (0.3 + t))
    torch.manual_seed(0)
    z = torch.randn(5, 2, dtype=torch.float64)
    torch.manual_seed(1)
    found = m.flow(z)
    torch.manual_seed(1)
    for t in range(20, 0, -1):
        abar, before = m.abar[t - 1], m.abar[t - 2] if t > 1 else 1.0
        beta = 1 - abar / before
        z = (z - beta / (1 - abar) ** 0.5 * z * (0.3 + (t - 1) / 20)) / (1 - beta) ** 0.5
        spread = beta if kind == "beta" else (1 - before) / (1 - abar) * beta
        z = z + spread**0.5 * torch.randn_like(z) if t > 1 else z
    torch.testing.assert_close(found, z)


def test_the_best_velocity_carries_a_gaussian_to_another():
    """From N(0, 1) to N(2, 1/4) x_0 goes to 2 + x_0 / 2."""
    m = on_points("flow_matching", sampling=2000)
    m.G = Linear(lambda x, t: 2 + (t / 4 - (1 - t)) / ((1 - t) ** 2 + t**2 / 4) * (x - 2 * t))
    z = torch.linspace(-2, 2, 10, dtype=torch.float64).view(5, 2)
    torch.testing.assert_close(m.flow(z), 2 + z / 2, atol=2e-3, rtol=0)


def test_noise_is_paired_with_what_is_near():
    """On a line the least squared distance is that of the sorted."""
    torch.manual_seed(0)
    x_0, x_1 = torch.randn(2, 9, 1)
    paired = _pair(x_0, x_1)
    assert paired.flatten().sort().values.tolist() == x_0.flatten().sort().values.tolist()
    assert paired.flatten().argsort().tolist() == x_1.flatten().argsort().tolist()


def test_the_loss_of_a_network_that_knows_nothing():
    """E |eps|^2 = 1, E |x - x_0|^2 = 1 + E |x|^2."""
    torch.manual_seed(0)
    x = torch.randn(4000, 2) * 2
    for name, expected in (("ddpm", 1.0), ("flow_matching", 5.0)):
        m = on_points(name)
        m.G = Linear(lambda x, t: torch.zeros_like(x))
        assert float(m.loss(x)) == pytest.approx(expected, rel=0.05)


def test_points_are_scaled_and_pictures_centred():
    m = on_points("ddpm")
    m.prepare(Stream(m.task, 0, 64))
    x = m.task.batch(500, torch.Generator().manual_seed(5)).x
    assert float(m.inside(x).square().mean().sqrt()) == pytest.approx(1, rel=0.1)
    pictures = checks.make("flow_matching")
    assert pictures.inside(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)).flatten().tolist() == [-1, 1]


def test_pairs_lie_nearer():
    torch.manual_seed(0)
    x, losses = torch.randn(200, 2), {}
    for pairing in ("independent", "transport"):
        m = on_points("flow_matching", pairing=pairing)
        m.G = Linear(lambda x, t: torch.zeros_like(x))
        losses[pairing] = float(m.loss(x))
    assert losses["transport"] < losses["independent"] / 4


def test_what_a_picture_is_taken_for_stays_a_picture():
    m = checks.make("ddpm")
    m.G = Linear(lambda x, t: 50 * x)
    assert m.flow(torch.randn(2, *m.task.shape, dtype=torch.float64)).abs().max() <= 1


def test_the_average_follows_every_update():
    m = checks.make("flow_matching", ema=0.75)
    key, seen = next(iter(m.G.state_dict())), []
    for _ in m.train(Stream(m.task, 0, 2)):
        seen.append(m.G.state_dict()[key].clone())
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.75 * expected + 0.25 * weights
    assert len(seen) > 2
    torch.testing.assert_close(m.average[key], expected)


def test_samples_come_from_the_average():
    m = checks.make("flow_matching", ema=0.5)
    before = {k: v.clone() for k, v in m.G.state_dict().items()}
    m.average = {k: torch.zeros_like(v) for k, v in before.items()}
    with evaluation_mode(m):
        noise = m.z(2)
    with evaluation_mode(m):
        torch.testing.assert_close(m.sample(2), (noise.clamp(-1, 1) + 1) / 2)  # without velocity it stays where it came
    assert all(torch.equal(v, before[k]) for k, v in m.G.state_dict().items())


@pytest.mark.parametrize("side", [8, 14, 15])
def test_a_network_sees_when(side):
    torch.manual_seed(0)
    network, x = TimedUNet(1, 8, 3), torch.randn(2, 1, side, side)
    early, late = (network(x, torch.full((2,), t)) for t in (0.1, 0.9))
    assert early.shape == x.shape
    assert (early - late).abs().max() > 1e-3


def test_the_network_of_pictures_written_out():
    """Two levels: what was seen at the first comes in again on the way up."""
    torch.manual_seed(0)
    network, x, t = TimedUNet(1, 8, 2).double(), torch.randn(2, 1, 6, 6, dtype=torch.float64), torch.tensor([0.2, 0.7], dtype=torch.float64)
    when = network.time(embed(t))
    one = network.down[0](network.first(x), when)
    two = network.down[1](network.halve[0](one), when)
    h = network.middle(two, when)
    places = network.attention.norm(h).flatten(2)
    q, k, v = (torch.einsum("oc,ncp->nop", w, places) + b[:, None] for w, b in zip(
        network.attention.qkv.weight[..., 0, 0].chunk(3), network.attention.qkv.bias.chunk(3), strict=True))  # fmt: skip
    seen = torch.einsum("npr,ncr->ncp", (torch.einsum("ncp,ncr->npr", q, k) / 16**0.5).softmax(2), v).unflatten(2, (3, 3))
    h = network.up[0](torch.cat([h + network.attention.out(seen), two], 1), when)
    h = network.up[1](torch.cat([h.repeat_interleave(2, 2).repeat_interleave(2, 3), one], 1), when)
    torch.testing.assert_close(network(x, t), network.last(h))


def test_times_are_waves():
    found = embed(torch.tensor([0.0, 0.5]))
    assert found[0].tolist() == [0.0] * 32 + [1.0] * 32
    assert float(found[1, 0]) == pytest.approx(float(torch.tensor(500.0).sin()), abs=1e-4)
    assert float(found[1, 31]) == pytest.approx(float(torch.tensor(0.05).sin()), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("flow_matching", {"sampling": 50}), ("ddpm", {"sampling": 100, "variance": "posterior"})])
def test_a_ring_is_learnt(name, options):
    task = registry.make("task", 'toy2d[data="ring[std=0.1]"]')
    task.open(None, torch.device("cpu"))
    torch.manual_seed(0)
    recipe = {"steps": 6000, "batch_size": 256, "optimizer": "adam[lr=2e-3]", "schedule": "cosine", "width": 64, "levels": 3, "ema": 0.995}
    m = registry.find("method", name)(task, **recipe, **options)
    stream = Stream(task, 0, 256)
    m.prepare(stream)
    assert len(list(m.train(stream))) == 6000
    with evaluation_mode(m):
        found = task.validate(m)
    assert found["modes"] == 8
    assert found["high_quality"] > 0.9


@pytest.mark.parametrize("name", ["flow_matching", "ddpm"])
@pytest.mark.parametrize(("option", "says"), [("sampling", "sampling must be"), ("clip", "clip, the longest gradient, must be positive")])
def test_options_that_would_train_or_draw_nothing_are_refused(name, option, says):
    with pytest.raises((UsageError, ValueError), match=says):
        checks.make(name, **{option: 0})
