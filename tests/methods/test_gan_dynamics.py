"""GANs that change the players' dynamics, against closed forms on the Dirac-GAN and on games whose every derivative is known."""

import cmath
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import registry
from bench.errors import UsageError
from bench.method import Samples
from bench.spec import Spec
from methods.networks.backbones import MLPGenerator, mlp_critic
from methods.penalties import js_penalty, zero_centred_penalty
from methods.procedures import descend

SGD = "sgd[lr=0.2]"
WGAN = "wgan[clip=1e9]"  # never clips: a linear game


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class _Theta(nn.Module):
    """G(z) = theta: the Dirac-GAN's generator."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, z):
        return self.theta + 0 * z


class _Psi(nn.Module):
    """D(x) = psi x. As D's loss is low where it is high on real samples, psi here is the paper's -psi."""

    def __init__(self, psi):
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi))

    def forward(self, x):
        return (self.psi * x).squeeze(1)


def _make(name, generator, critic, z_dim=1, **options):
    task = SimpleNamespace(shape=(1,), z_dim=z_dim, device=torch.device("cpu"), generator=generator, critic=lambda outputs=1: critic())
    return registry.make("method", Spec(name, options))(task)


def _dirac(name, theta=1.0, psi=1.0, **options):
    m = _make(name, lambda: _Theta(theta), lambda: _Psi(-psi), **{"optimizer": SGD, "steps": 500, **options})
    m.data = itertools.repeat(Samples(torch.zeros(2, 1)))
    return m


def _run(m, updates):
    list(itertools.islice(m.train(m.data), updates))
    return m.G.theta.item(), -m.D.psi.item()


def _small(name, **options):
    torch.manual_seed(0)
    m = _make(name, lambda: MLPGenerator(3, (1,), (5,)), lambda: mlp_critic((1,), (6,)), z_dim=3, **options)
    return m, Samples(torch.randn(7, 1))


def _flat(tensors):
    return torch.cat([t.flatten() for t in tensors])


# -- penalties


def test_the_penalty_of_a_linear_critic_is_the_squared_norm_of_its_weights():
    w, x = torch.tensor([3.0, -4.0, 12.0]), torch.randn(5, 3)
    assert zero_centred_penalty(lambda x: x @ w, x).item() == pytest.approx(169, abs=1e-9)


def test_r1_and_r2_look_at_their_own_samples():
    real, fake = torch.full((4, 1), 3.0), 5.0  # D(x) = psi x^2 / 2: |grad D| = psi x
    for name, x in (("r1_gan", 3.0), ("r2_gan", 5.0)):
        m = _dirac(name, theta=fake, gamma=0.5)
        m.D.forward = lambda x, m=m: (m.D.psi * x.square() / 2).squeeze(1)
        penalty = m.critic_loss(Samples(real)) - m.adversarial.critic(m.D, real, torch.full((4, 1), fake))
        assert penalty.item() == pytest.approx(0.5 / 2 * x**2, abs=1e-9)


def test_js_penalty_of_a_linear_logit():
    w, b = torch.tensor([1.5, -2.0]), 0.3
    real, fake = torch.randn(6, 2), torch.randn(6, 2) + 1
    p = [(x @ w + b).sigmoid() for x in (real, fake)]
    expected = w.square().sum() * ((1 - p[0]).square().mean() + p[1].square().mean())
    assert js_penalty(lambda x: x @ w + b, real, fake).item() == pytest.approx(expected.item(), abs=1e-9)


def test_js_penalty_of_two_gaussians_and_their_best_critic():
    x = torch.special.ndtri((torch.arange(20_000) + 0.5) / 20_000)[:, None]  # quantiles of N(0, 1): a quadrature
    assert js_penalty(lambda x: 0.5 - x[:, 0], x, x + 1).item() == pytest.approx(0.397972867, abs=2e-6)


def test_annealing_of_js_reg():
    m = _dirac("js_reg_gan", gamma=2.0, decay=0.01, steps=101)
    for m.t, gamma in ((0, 2.0), (50, 0.2), (100, 0.02)):
        assert m.gamma == pytest.approx(gamma)
    assert _dirac("js_reg_gan").gamma == pytest.approx(0.1)


# -- the Dirac-GAN: f(t) = -log(1 + e^-t), v = (-psi f'(theta psi), theta f'(theta psi))


def _sigmoid(t):
    return 1 / (1 + math.exp(-t))


@pytest.mark.parametrize("name", ["r1_gan", "r2_gan"])
def test_one_step_of_r1_and_r2(name):
    theta, psi, h, gamma = 0.7, -0.4, 0.2, 0.3
    psi_1 = psi + h * (theta * _sigmoid(-theta * psi) - gamma * psi)
    theta_1 = theta - h * psi_1 * _sigmoid(-theta * psi_1)
    m = _dirac(name, theta, psi, gamma=gamma, adversarial="saturating")
    assert _run(m, 1) == pytest.approx((theta_1, psi_1), abs=1e-9)


def test_one_step_of_consensus():
    theta, psi, h, gamma = 0.7, -0.4, 0.2, 0.6
    t, r2 = theta * psi, theta**2 + psi**2
    f1, f2 = _sigmoid(-t), -_sigmoid(t) * _sigmoid(-t)
    pull = [theta * f1**2 + psi * r2 * f1 * f2, psi * f1**2 + theta * r2 * f1 * f2]  # grad of (theta^2 + psi^2) f'^2 / 2
    expected = (theta + h * (-psi * f1 - gamma * pull[0]), psi + h * (theta * f1 - gamma * pull[1]))
    m = _dirac("consensus_gan", theta, psi, gamma=gamma, adversarial="saturating")
    assert _run(m, 1) == pytest.approx(expected, abs=1e-12)


def test_one_step_of_js_reg_with_weights_that_are_differentiated():
    theta, psi, h, gamma = 0.7, 0.4, 0.2, 0.6  # psi of D(x) = psi x
    p = _sigmoid(theta * psi)
    slope = theta * p + gamma / 2 * (psi / 2 + 2 * psi * p**2 + 2 * psi**2 * theta * p**2 * (1 - p))
    psi_1 = psi - h * slope
    theta_1 = theta + h * psi_1 * _sigmoid(-theta * psi_1)
    m = _dirac("js_reg_gan", theta, -psi, gamma=gamma)
    assert _run(m, 1) == pytest.approx((theta_1, -psi_1), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "gamma", "distance"),
    [("r1_gan", 0.3, 2.3e-7), ("r2_gan", 0.3, 2.3e-7), ("consensus_gan", 1.0, 2.6e-10), ("r1_gan", 0.0, 1.421)],
)
def test_trajectories_of_500_steps(name, gamma, distance):
    m = _dirac(name, gamma=gamma, adversarial="saturating")
    assert math.hypot(*_run(m, 500)) == pytest.approx(distance, rel=0.05)  # the table's other player steps first


@pytest.mark.parametrize("gamma", [0.1, 1.0, 2.0])
def test_eigenvalues_of_consensus_on_the_bilinear_game(gamma):
    def moved(theta, psi):
        return _run(_dirac("consensus_gan", theta, psi, gamma=gamma, adversarial=WGAN), 1)

    step = (torch.tensor([moved(1.0, 0.0), moved(0.0, 1.0)]).T - torch.eye(2)) / 0.2  # the field is linear
    assert sorted(torch.linalg.eigvals(step).imag.tolist()) == pytest.approx([-1, 1])
    assert torch.linalg.eigvals(step).real.tolist() == pytest.approx([-gamma, -gamma])


# -- consensus


def test_consensus_steps_along_v_minus_gamma_jacobian_transposed_v():
    m, batch = _small("consensus_gan", optimizer="sgd[lr=0.05]", gamma=0.8)
    z = torch.randn(7, 3)
    m.z = lambda n: z
    nets = (m.D, m.G)
    names = [[f"{i}.{k}" for k, _ in net.named_parameters()] for i, net in enumerate(nets)]
    w = {k: p.detach().clone() for i, net in enumerate(nets) for k, p in zip(names[i], net.parameters(), strict=True)}

    def losses(w):
        D, G = ({k[2:]: v for k, v in w.items() if k[0] == i} for i in "01")
        y = torch.func.functional_call(m.G, G, z)
        fake = torch.func.functional_call(m.D, D, y)
        return F.softplus(-torch.func.functional_call(m.D, D, batch.x)).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()

    def v(w):
        d, g = (torch.func.grad(lambda w, i=i: losses(w)[i])(w) for i in (0, 1))
        return {k: -(d if k[0] == "0" else g)[k] for k in w}

    v0, jacobian = v(w), torch.func.jacrev(v)(w)
    expected = {
        k: w[k] + 0.05 * (v0[k] - 0.8 * sum(torch.tensordot(v0[j], jacobian[j][k], dims=v0[j].dim()) for j in w))
        for k in w
    }  # fmt: skip
    logs = next(m.train(iter([batch])))
    after = {k: p for i, net in enumerate(nets) for k, p in zip(names[i], net.parameters(), strict=True)}
    assert all(torch.allclose(after[k], expected[k], atol=1e-12) for k in w)
    assert logs["energy"].item() == pytest.approx(sum(g.square().sum().item() for g in v0.values()) / 2)


# -- unrolled


def test_without_steps_ahead_it_is_the_plain_saturating_gan_bitwise():
    m, _ = _small("unrolled_gan", k=0, optimizer="adam[lr=0.01]", steps=5)
    plain, _ = _small("unrolled_gan", k=0, optimizer="adam[lr=0.01]")  # its networks and optimisers, under a loop by hand
    batches = [Samples(torch.randn(7, 1)) for _ in range(5)]
    torch.manual_seed(1)
    list(m.train(iter(batches)))
    torch.manual_seed(1)
    for batch in batches:
        y = plain.G(torch.randn(7, 3))
        descend(plain.opt_g, -F.softplus(plain.D(y)).mean())
        descend(plain.opt_d, F.softplus(-plain.D(batch.x)).mean() + F.softplus(plain.D(y.detach())).mean())
    assert torch.equal(_flat(m.G.parameters()), _flat(plain.G.parameters()))
    assert torch.equal(_flat(m.D.parameters()), _flat(plain.D.parameters()))


@pytest.mark.parametrize("k", [0, 1, 5, 10])
def test_eigenvalues_of_the_unrolled_bilinear_game(k):
    """f = theta psi, inner steps of 0.1: psi^K = psi + K 0.1 theta, f_K = theta psi + K 0.1 theta^2."""

    def field(theta, psi):
        m = _dirac("unrolled_gan", theta, psi, k=k, adversarial=WGAN, optimizer="sgd[lr=0.1]")
        a, b = _run(m, 1)
        return (a - theta) / 0.1, (b - psi) / 0.1

    a = k * 0.1
    root = cmath.sqrt(a * a - 1)
    jacobian = torch.tensor([field(1.0, 0.0), field(0.0, 1.0)]).T
    assert jacobian.tolist() == [pytest.approx([-2 * a, -1]), pytest.approx([1, 0])]
    found = sorted(torch.linalg.eigvals(jacobian).tolist(), key=lambda c: (round(c.real, 6), c.imag))
    assert found == [pytest.approx(c, abs=1e-6) for c in sorted((-a - root, -a + root), key=lambda c: (c.real, c.imag))]


@pytest.mark.parametrize(
    "spec",
    ["adam[lr=0.02,betas=(0.5,0.9)]", "adam[lr=0.02,weight_decay=0.1]", "sgdm[lr=0.1,weight_decay=0.1]", "sgd[lr=0.1]"],
)
@pytest.mark.parametrize("trained", [0, 3])
def test_inner_steps_are_those_of_the_critics_optimiser(spec, trained):
    m, batch = _small("unrolled_gan", k=4, optimizer=spec)
    list(itertools.islice(m.train(itertools.repeat(batch)), trained))
    y = m.fake(7).detach()
    ahead, before = m.unroll(batch.x, y), _flat(m.D.parameters()).clone()
    assert torch.equal(_flat(m.D.parameters()), before)
    for _ in range(4):
        descend(m.opt_d, m.critic_loss_on(batch, y))
    assert torch.allclose(ahead, _flat(m.D.parameters()), atol=1e-9)


@pytest.mark.parametrize("trained", [0, 3])
def test_the_generators_gradient_passes_through_the_inner_steps(trained):
    m, batch = _small("unrolled_gan", k=3, optimizer="adam[lr=0.05]")
    with torch.no_grad():
        m.D.body[1].bias[0] = -100  # a unit that no sample reaches: its gradients, and Adam's averages of them, are zero
    list(itertools.islice(m.train(itertools.repeat(batch)), trained))
    z, params = torch.randn(7, 3), list(m.G.parameters())
    gradient = _flat(torch.autograd.grad(m.generator_loss_on(batch, m.G(z)), params))
    assert gradient.isfinite().all()
    if not trained:
        return  # Adam's first step is the sign of the gradient: no derivative to compare with
    start = nn.utils.parameters_to_vector(params).detach()
    for seed in range(3):
        direction = torch.randn(len(start), generator=torch.Generator().manual_seed(seed))
        values = []
        for e in (1e-6, -1e-6):
            nn.utils.vector_to_parameters(start + e * direction, params)
            values.append(m.generator_loss_on(batch, m.G(z)).item())
        assert (values[0] - values[1]) / 2e-6 == pytest.approx((gradient @ direction).item(), rel=1e-4)


@pytest.mark.parametrize("spec", ["rmsprop", "nesterov", "amsgrad"])
def test_an_update_rule_that_cannot_be_unrolled_is_refused(spec, monkeypatch):
    variants = {
        "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        "amsgrad": lambda p: torch.optim.Adam(p, amsgrad=True),
    }
    real = registry.make
    monkeypatch.setattr(registry, "make", lambda kind, text: variants.get(str(text)) or real(kind, text))
    with pytest.raises(UsageError, match=spec):
        _dirac("unrolled_gan", optimizer=spec)
    _dirac("unrolled_gan", optimizer="rmsprop", optimizer_d="adam")


def test_initial_weights_are_orthogonal_with_gain():
    m, _ = _small("unrolled_gan")
    w = m.D.body[1].weight  # 6 x 1
    assert (w.T @ w).item() == pytest.approx(0.8**2)
    assert not m.D.body[1].bias.any()


# -- the regulariser of Nagarajan and Kolter


@pytest.mark.parametrize("eta", [0.0, 0.25, 0.5, 1.0, 2.0])
def test_eigenvalues_of_the_linear_quadratic_wgan(eta):
    """D = w x^2, G = a z, x and z with mean square 1/3: V = w (1 - a^2) / 3, equilibrium (0, 1)."""
    x = torch.full((2, 1), 3**-0.5)

    def field(w, a):
        m = _dirac("gradient_regularized_gan", a, -w, eta=eta, adversarial=WGAN)
        m.z = lambda n: x
        m.G.forward = lambda z: m.G.theta * z
        m.D.forward = lambda x: (m.D.psi * x.square()).squeeze(1)
        d = torch.autograd.grad(m.critic_loss(Samples(x)), m.D.psi)[0]
        g = torch.autograd.grad(m.generator_loss(Samples(x)), m.G.theta)[0]
        return torch.stack([-d, -g])

    e = 1e-5
    columns = [(field(e, 1.0) - field(-e, 1.0)) / (2 * e), (field(0.0, 1 + e) - field(0.0, 1 - e)) / (2 * e)]
    root = cmath.sqrt(16 * eta**2 / 81 - 4 / 9)
    found = sorted(torch.linalg.eigvals(torch.stack(columns, 1)).tolist(), key=lambda c: (round(c.real, 6), c.imag))
    assert found == [pytest.approx(c, abs=1e-6) for c in sorted((-4 * eta / 9 - root, -4 * eta / 9 + root), key=lambda c: (c.real, c.imag))]


def test_the_squared_norm_has_no_half_and_is_the_generators_alone():
    m, batch = _small("gradient_regularized_gan", eta=0.7)
    z = torch.randn(7, 3)
    m.z = lambda n: z
    D, G = ({k: p.detach() for k, p in net.named_parameters()} for net in (m.D, m.G))

    def value(D, G):
        real, fake = (torch.func.functional_call(m.D, D, x) for x in (batch.x, torch.func.functional_call(m.G, G, z)))
        return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()

    def regularised(G):
        return value(D, G) + 0.7 * sum(g.square().sum() for g in torch.func.grad(value)(D, G).values())

    expected = torch.func.grad(regularised)(G)
    found = torch.autograd.grad(m.generator_loss(batch), list(m.G.parameters()))
    assert torch.allclose(_flat(found), _flat(expected.values()), atol=1e-12)
    assert m.critic_loss(batch).item() == pytest.approx(-value(D, G).item())


# -- instance noise


def test_the_noise_falls_to_zero():
    m = _dirac("instance_noise_gan", sigma=0.5, steps=200)
    for m.t, sigma in ((0, 0.5), (100, 0.25), (200, 0)):
        assert m.sigma == sigma
    x = torch.randn(4, 1)
    assert torch.equal(m.noisy(x), m.D(x))


def test_both_players_see_noise_on_every_sample():
    torch.manual_seed(0)
    m = _dirac("instance_noise_gan", theta=2.0, psi=-1.0, sigma=0.5, steps=200)
    scores = m.noisy(torch.full((100_000, 1), 2.0))
    assert scores.mean().item() == pytest.approx(2, abs=0.01)
    assert scores.std().item() == pytest.approx(0.5, abs=0.01)
    seen = []
    m.D.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    m.critic_loss(Samples(torch.zeros(4, 1)))
    m.generator_loss(Samples(torch.zeros(4, 1)))
    assert len(seen) == 3  # real, fake, the generator's fake
    assert all(len(x.unique()) == 4 for x in seen)


def test_noise_makes_the_dirac_gan_converge():
    """Eigenvalues f''(0) s^2 +- sqrt(f''(0)^2 s^4 - f'(0)^2) (Lemma 3.2), from the gradients near the equilibrium."""
    sigma, n = 1.0, 40_000
    noise = sigma * torch.special.ndtri((torch.arange(n) + 0.5) / n)[:, None]

    def field(theta, psi):
        m = _dirac("instance_noise_gan", theta, psi, sigma=sigma, adversarial="saturating")
        m.noisy = lambda x: m.D(x + noise)
        batch = Samples(torch.zeros(n, 1))
        g = torch.autograd.grad(m.generator_loss(batch), m.G.theta)[0]
        d = torch.autograd.grad(m.critic_loss(batch), m.D.psi)[0]
        return torch.stack([-g, d])

    e = 1e-4
    columns = [(field(e, 0.0) - field(-e, 0.0)) / (2 * e), (field(0.0, e) - field(0.0, -e)) / (2 * e)]
    found = torch.linalg.eigvals(torch.stack(columns, 1))
    assert found.real.tolist() == pytest.approx([-0.25, -0.25], abs=1e-3)
    assert sorted(found.imag.tolist()) == pytest.approx([-0.433013, 0.433013], abs=1e-3)
