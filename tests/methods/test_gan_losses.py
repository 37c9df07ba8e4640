"""Losses, optima and procedures of the first generation of GANs, against closed forms."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import registry
from bench.conformance import checks
from bench.errors import UsageError
from bench.method import Samples
from bench.spec import parse
from methods.procedures import descend

P, Q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])


class Table(nn.Module):
    """A critic of three atoms: a free score each."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Parameter(scores.clone())

    def forward(self, x):
        return self.scores[x[:, 0].long()]


def tabular(spec, scores):
    """A method on ten real draws in the shares P and ten fakes in the shares Q."""
    real, fake = (torch.arange(3.0).repeat_interleave((10 * share).round().long())[:, None] for share in (P, Q))
    task = SimpleNamespace(device=torch.device("cpu"), shape=(1,), z_dim=1, generator=lambda: nn.Linear(1, 1), critic=lambda: Table(scores))
    m = registry.make("method", spec)(task)
    m.fake = lambda n: fake
    return m, Samples(real)


def _quantiles(mean, n=200_001, std=1.0):
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return mean + std * math.sqrt(2) * torch.erfinv(2 * u - 1)


@pytest.mark.parametrize(
    ("spec", "optimum"),
    [
        ("gan", (P / (P + Q)).logit()),
        ("gan[adversarial=saturating]", (P / (P + Q)).logit()),
        ("lsgan", P / (P + Q)),
        ("lsgan[a=-1,c=0]", (P - Q) / (P + Q)),
        ("label_smoothing_gan", (0.9 * P / (P + Q)).logit()),
        ("label_smoothing_gan[alpha=0.75]", (0.75 * P / (P + Q)).logit()),
    ],
)
def test_the_best_critic_has_no_gradient(spec, optimum):
    m, batch = tabular(spec, optimum)
    m.critic_loss(batch).backward()
    assert torch.allclose(m.D.scores.grad, torch.zeros(3), atol=1e-6)
    m, batch = tabular(spec, optimum + torch.tensor([0.0, 0.1, 0.0]))
    m.critic_loss(batch).backward()
    assert m.D.scores.grad[1] > 1e-3


@pytest.mark.parametrize(
    ("delta", "value"),
    [(0, -1.386294), (0.5, -1.325672), (1, -1.163451), (2, -0.712633), (4, -0.120854), (10, -2e-6)],
)
def test_value_of_the_game_between_gaussians(delta, value):
    m, _ = tabular("gan", torch.zeros(3))
    m.D = lambda x: delta**2 / 2 - delta * x  # log p / q
    m.fake = lambda n: _quantiles(delta)
    assert -m.critic_loss(Samples(_quantiles(0.0))).item() == pytest.approx(value, abs=2e-5)


@pytest.mark.parametrize(("spec", "sign"), [("gan", -1), ("gan[adversarial=saturating]", 1), ("dcgan", -1), ("dcgan_keras", -1)])
def test_the_generator_sees_one_minus_d_or_d(spec, sign):
    parsed = parse(spec)
    m = checks.make(parsed.name, **parsed.options)
    scores = torch.tensor([-10.0, -5.0, 0.0], requires_grad=True)
    m.fake, m.D = lambda n: scores, nn.Identity()
    m.generator_loss(Samples(scores)).backward()
    expected = torch.sigmoid(sign * scores.detach()) / 3  # saturating: D, near 0 for rejected fakes
    assert torch.allclose(-scores.grad, expected, rtol=1e-5)


def test_the_keras_example_judges_one_batch_of_both():
    m = checks.make("dcgan_keras", dropout=0.0)
    batch, y = m.task.batch(4, torch.Generator().manual_seed(0)), m.fake(4)
    m.fake = lambda n: y
    labels = torch.cat([torch.ones(4), torch.zeros(4)])
    expected = F.binary_cross_entropy(torch.sigmoid(m.D(torch.cat([batch.x, y]))), labels)
    assert m.critic_loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_are_clipped_by_value():
    m = checks.make("dcgan_keras", clip_value=0.5)
    for p in m.G.parameters():
        p.grad = torch.full_like(p, -7.0)
    m.opt_g.step()
    assert all((p.grad == -0.5).all() for p in m.G.parameters())


@pytest.mark.parametrize("name", ["dcgan", "dcgan_keras"])
def test_the_generators_step_leaves_the_critic_alone(name):
    m = checks.make(name)
    before = [p.detach().clone() for p in m.D.parameters()]
    descend(m.opt_g, m.generator_loss(m.task.batch(4, torch.Generator().manual_seed(0))))
    assert all(torch.equal(p, q) for p, q in zip(m.D.parameters(), before))


def _endless(m, seen):
    while True:
        seen.append(m.t)
        yield m.task.batch(2, torch.Generator().manual_seed(len(seen)))


@pytest.mark.parametrize("name", ["gan", "dcgan", "lsgan", "infogan"])
def test_every_batch_trains_both_players(name):
    m, seen = checks.make(name, steps=2), []
    before = {k: [p.detach().clone() for p in getattr(m, k).parameters()] for k in "GD"}
    list(m.train(_endless(m, seen)))
    assert seen == [0, 1]
    for k in "GD":
        assert any(not torch.equal(p, q) for p, q in zip(getattr(m, k).parameters(), before[k]))


def test_schedule_of_wgans_critic_steps():
    m, seen = checks.make("wgan", steps=7, n_critic=2, n_long=3, warmup=2, long_every=3), []
    list(m.train(_endless(m, seen)))
    assert [seen.count(t) for t in range(7)] == [3, 3, 2, 3, 2, 2, 3]
    paper = registry.make("method", "wgan")(m.task)
    assert [paper.critic_steps(t) for t in (0, 24, 25, 499, 500, 501, 1000)] == [100, 100, 5, 5, 100, 5, 100]


def test_every_parameter_is_clipped():
    m = checks.make("wgan", adversarial="wgan[clip=0.003]")
    assert max(p.abs().max().item() for p in m.D.parameters()) > 0.003
    list(m.train(_endless(m, [])))
    assert max(p.abs().max().item() for p in m.D.parameters()) <= 0.003 + 1e-9


@pytest.mark.parametrize("theta", [0.25, -0.5, 3.0])
def test_a_clipped_linear_critic_measures_c_times_the_distance(theta):
    m = checks.make("wgan", optimizer="rmsprop[lr=1e-3]")
    m.D = nn.Linear(1, 1)
    opt = m.optimizer(m.D)
    m.fake = lambda n: torch.full((n, 1), theta)
    batch = Samples(torch.zeros(4, 1))
    for _ in range(60):
        descend(opt, m.critic_loss(batch))
        m.adversarial.constrain(m.D)
    assert -m.critic_loss(batch).item() == pytest.approx(0.01 * abs(theta), rel=1e-5)


@pytest.mark.parametrize(("theta", "gp", "slope", "value"), [(1, 10, 1.05, 1.025), (1, 0.1, 6, 3.5), (3, 10, 1.15, 3.225)])
def test_a_penalised_linear_critic_overshoots_the_distance(theta, gp, slope, value):
    m = checks.make("wgan_gp", adversarial=f"wgan_gp[gp={gp}]")
    m.D = nn.Linear(1, 1, bias=False)
    m.fake = lambda n: torch.zeros(n, 1)
    batch = Samples(torch.full((4, 1), float(theta)))
    opt = m.optimizer(m.D, spec=f"sgd[lr={0.5 / (2 * gp)}]")  # the loss is a parabola of curvature 2 gp
    nn.init.constant_(m.D.weight, 0.5)
    for _ in range(40):
        descend(opt, m.critic_loss(batch))
    assert m.D.weight.item() == pytest.approx(slope, abs=1e-4)
    assert -m.critic_loss(batch).item() == pytest.approx(value, abs=1e-4)


def test_hyper_parameters_of_wgan_gps_algorithm_1():
    task = checks.make("gan").task
    wgan, gp = (registry.make("method", name)(task) for name in ("wgan", "wgan_gp"))
    assert (wgan.opt_d.defaults["lr"], wgan.hp.batch_size, wgan.hp.n_critic, wgan.adversarial.clip) == (5e-5, 64, 5, 0.01)
    assert (gp.opt_d.defaults["lr"], gp.opt_d.defaults["betas"], gp.hp.n_critic, gp.adversarial.gp) == (1e-4, (0, 0.9), 5, 10)


@pytest.mark.parametrize(("options", "critic", "generator"), [
    ({}, (0.5**2 + 2**2) / 2 / 2 + (1 + 0) / 2 / 2, (2**2 + 1) / 2 / 2),
    ({"a": -1.0, "c": 0.0}, (0.5**2 + 2**2) / 2 / 2 + (0 + 1) / 2 / 2, (1 + 0) / 2 / 2),
])  # fmt: skip
def test_lsgan_by_hand(options, critic, generator):
    m = checks.make("lsgan", **options)
    m.D, m.fake = nn.Identity(), lambda n: torch.tensor([-1.0, 0.0])
    batch = Samples(torch.tensor([0.5, 3.0]))
    assert m.critic_loss(batch).item() == pytest.approx(critic)
    assert m.generator_loss(batch).item() == pytest.approx(generator)


# InfoGAN


def _info(**options):
    return checks.make("infogan", **options)


def test_information_of_a_perfect_and_of_a_blind_q():
    m = _info(categories=10, continuous=2)
    z = m.z(64)
    codes, c = z[:, m.hp.noise :].split([10, 2], 1)
    entropy = math.log(10) + 2 * math.log(2)
    perfect = torch.cat([1000 * codes, c, torch.zeros(64, 2)], 1)
    assert m.information(perfect, z).item() == pytest.approx(entropy - math.log(2 * math.pi), abs=1e-5)  # two Gaussians of deviation 1
    blind = torch.zeros(64, 14)
    assert m.information(blind, z).item() == pytest.approx(
        (2 * math.log(2) - math.log(2 * math.pi) - c.square().sum(1).mean() / 2).item(),
        abs=1e-5,
    )
    assert m.information(perfect, z) < entropy
    assert entropy == pytest.approx(2.302585093 + 2 * 0.693147, abs=1e-5)


def test_a_predicted_deviation_counts_only_where_it_is_asked_for():
    z, c = _info().z(16), slice(-2, None)
    q = torch.cat([torch.zeros(16, 10), z[:, c] + 0.1, torch.full((16, 2), math.log(0.1))], 1)
    fixed, predicted = (_info(fixed_std=fixed).information(q, z).item() for fixed in (True, False))
    assert predicted - fixed == pytest.approx(2 * (-math.log(0.1) - 0.5 + 0.005), abs=1e-4)


@pytest.mark.parametrize(("std", "exact", "wrong"), [(0.3, 0.691906, 0.371074), (1.0, 0.336831, 0.286291), (3.0, 0.052672, -0.257950)])
def test_the_bound_on_a_gaussian_channel(std, exact, wrong):
    m = _info(categories=2, continuous=0, noise=1)
    noise = _quantiles(0.0, std=std)
    x = torch.cat([noise + 1, noise - 1])  # c = +1, then -1
    code = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).repeat_interleave(len(noise), 0)
    z = torch.cat([torch.zeros(len(x), 1, dtype=torch.float64), code], 1)
    for scale, value in ((2 / std**2, exact), (1.0, wrong)):
        assert m.information(torch.stack([scale * x, 0 * x], 1), z).item() == pytest.approx(value, abs=2e-4)


def test_a_code_can_be_made_readable():
    m = _info(noise=2, categories=10, continuous=0)
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 2))
    q = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 10))
    opt = m.optimizer(G, q, spec="adam[lr=3e-3]")
    for _ in range(400):
        z = m.z(256)
        loss = descend(opt, -m.information(q(G(z)), z))
    assert 2.29 < -loss.item() < math.log(10)


def test_the_critics_optimiser_trains_q_and_the_generators_does_not():
    m = _info()
    batch = m.task.batch(4, torch.Generator().manual_seed(0))
    q = [p.detach().clone() for p in m.Q.parameters()]
    descend(m.opt_g, m.generator_loss(batch))
    assert all(torch.equal(p, before) for p, before in zip(m.Q.parameters(), q))
    m.critic_loss(batch).backward(inputs=[*m.Q.parameters()])
    assert any(p.grad.abs().max() > 0 for p in m.Q.parameters())
    descend(m.opt_d, m.critic_loss(batch))
    assert any(not torch.equal(p, before) for p, before in zip(m.Q.parameters(), q))


def test_the_losses_are_the_game_less_the_information():
    values = {}
    for info in (0.0, 1.0):
        m = _info(info=info)
        batch = m.task.batch(8, torch.Generator().manual_seed(0))
        torch.manual_seed(5)
        z = m.z(8)
        m.z = lambda n, z=z: z
        values[info] = (m.critic_loss(batch).item(), m.generator_loss(batch).item())
        information = m.information(m.Q(m.D.represent(m.G(z))), z).item()
        game = registry.make("adversarial", "nonsaturating")
        torch.manual_seed(5)
        plain = game.critic(m.D, batch.x, m.G(z)).item(), game.generator(m.D, m.G(z), batch.x).item()
        assert values[info] == pytest.approx([p - info * information for p in plain], rel=1e-4)


def test_latents_of_infogan():
    m = _info(noise=3)
    z = m.z(4000)
    assert z.shape == (4000, 15)
    assert torch.equal(z[:, 3:13].sum(1), torch.ones(4000))
    assert z[:, 3:13].mean(0).tolist() == pytest.approx([0.1] * 10, abs=0.02)
    uniform = torch.cat([z[:, :3], z[:, 13:]], 1)
    assert uniform.var().item() == pytest.approx(1 / 3, abs=0.01)
    assert uniform.abs().max() <= 1


def test_a_sheet_varies_one_code_and_nothing_else():
    m = checks.make("infogan", noise=3, categories=4, continuous=2)
    m.decode = lambda z: z  # the sheets' latents
    by_category, *by_code = m.sheets(columns=5).values()
    assert by_category.shape == (5, 4, 9)
    assert torch.equal(by_category[:, :, 3:7], torch.eye(4).expand(5, 4, 4))
    assert torch.equal(by_category[:, :, [0, 1, 2, 7, 8]], by_category[:, :1, [0, 1, 2, 7, 8]].expand(5, 4, 5))
    for i, z in enumerate(by_code, 7):
        assert torch.equal(z[:, :, i], torch.linspace(-2, 2, 5).expand(5, 5))
        rest = [j for j in range(9) if j != i]
        assert torch.equal(z[:, :, rest], z[:, :1, rest].expand(5, 5, 8))
    assert len(by_code) == 2


def test_games_that_look_through_the_body_are_refused():
    with pytest.raises(UsageError, match="adversarial"):
        _info(adversarial="wgan_gp")


def _rmsprop(g, v, lr=0.1, alpha=0.8, eps=1e-3):
    v = alpha * v + (1 - alpha) * g * g
    return lr * g / (math.sqrt(v) + eps), v


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_rmsprop_by_hand(decay):
    p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    opt = registry.make("optimizer", f"rmsprop[lr=0.1,alpha=0.8,eps=1e-3,weight_decay={decay}]")([p])
    w, v = [1.0, -2.0], [0.0, 0.0]
    for _ in range(3):
        opt.zero_grad()
        (p**4 / 4).sum().backward()
        opt.step()
        for i in range(2):
            step, v[i] = _rmsprop(w[i] ** 3 + decay * w[i], v[i])
            w[i] -= step
    assert p.tolist() == pytest.approx(w, abs=1e-12)
