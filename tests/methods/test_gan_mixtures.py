"""GANs with more than two networks: MIX+GAN, the mode-regularised pair, RFGAN; terms by hand on linear networks."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import registry
from bench.method import Samples
from bench.spec import Spec
from methods.networks.backbones import MLPGenerator, conv_critic, mlp_critic


class _Times(nn.Module):
    """x -> w x; one score a sample where it plays the critic."""

    def __init__(self, w, flat=False):
        super().__init__()
        self.w, self.flat = nn.Parameter(torch.tensor(w)), flat

    def forward(self, x):
        return (self.w * x).squeeze(1) if self.flat else self.w * x


def _linear(name, generators=(2.0,), critics=(1.0,), **options):
    """G(z) = w z and D(x) = w x in one dimension, the weights handed out in turn."""
    g, d = iter(generators), iter(critics)
    task = SimpleNamespace(
        shape=(1,),
        z_dim=1,
        device=torch.device("cpu"),
        generator=lambda: _Times(next(g)),
        critic=lambda outputs=1: _Times(next(d), flat=True),
    )
    return registry.make("method", Spec(name, {"steps": 3, **options}))(task)


def _small(name, z_dim=3, **options):
    torch.manual_seed(0)
    task = SimpleNamespace(
        shape=(2,), z_dim=z_dim, device=torch.device("cpu"),
        generator=lambda: MLPGenerator(z_dim, (2,), (5,)), critic=lambda outputs=1: mlp_critic((2,), (6,), outputs),
    )  # fmt: skip
    return registry.make("method", Spec(name, options))(task), Samples(torch.randn(7, 2))


# -- MIX+GAN


def test_payoff_is_every_critic_on_every_generator():
    m = _linear("mix_gan", generators=(1.0, 2.0), critics=(3.0, -1.0), players=2)
    m.z = lambda n: torch.full((n, 1), 0.5)
    values = m.payoff(lambda D, y: m.adversarial.generator(D, y, y), 4)
    s = torch.tensor([[1.5, -0.5], [3.0, -1.0]])  # generator i, critic j
    assert torch.allclose(values, F.softplus(-s))
    batch = Samples(torch.ones(4, 1))
    real, entropy = torch.tensor([3.0, -1.0]), 0.1 * -math.log(0.5 + 1e-6)
    assert m.generator_loss(batch).item() == pytest.approx(F.softplus(-s).mean().item() + entropy)
    assert m.critic_loss(batch).item() == pytest.approx((F.softplus(-real).mean() + F.softplus(s).mean()).item() + entropy)


def test_weights_enter_as_a_bilinear_form():
    m = _linear("mix_gan", generators=(1.0, 2.0), critics=(3.0, -1.0), players=2, entropy=0.0)
    m.z = lambda n: torch.full((n, 1), 0.5)
    with torch.no_grad():
        m.G.logits.copy_(torch.tensor([0.0, math.log(3)]))  # weights 1/4, 3/4
        m.D.logits.copy_(torch.tensor([math.log(4), 0.0]))  # weights 4/5, 1/5
    s = F.softplus(-torch.tensor([[1.5, -0.5], [3.0, -1.0]]))
    expected = (torch.tensor([[0.25 * 0.8, 0.25 * 0.2], [0.75 * 0.8, 0.75 * 0.2]]) * s).sum()
    assert m.generator_loss(Samples(torch.ones(4, 1))).item() == pytest.approx(expected.item())


def test_entropy_is_least_at_uniform_weights():
    m = _linear("mix_gan", generators=[1.0] * 5, critics=[1.0] * 5)
    assert m.hp.players == 5
    assert m.G.entropy().item() == pytest.approx(math.log(5), abs=1e-5)
    with torch.no_grad():
        m.G.logits.copy_(torch.tensor([1.0, 0.0, -1.0, 0.5, 0.0]))
    gradient = torch.autograd.grad(m.G.entropy(), m.G.logits)[0]
    assert torch.allclose(gradient, m.G.weights - 1 / 5, atol=1e-4)


@pytest.mark.parametrize(("entropy", "settles"), [(0.1, True), (0.0, False)])
def test_entropy_settles_matching_pennies(entropy, settles):
    m = _linear("mix_gan", generators=(1.0, 1.0), critics=(1.0, 1.0), players=2, entropy=entropy)
    pennies = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    logits = [m.G.logits, m.D.logits]
    with torch.no_grad():
        m.G.logits[0], m.D.logits[0] = 0.5, -0.3
    for _ in range(2500):
        value = m._expected(pennies)
        (g,) = torch.autograd.grad(value + entropy * m.G.entropy(), m.G.logits, retain_graph=True)
        (d,) = torch.autograd.grad(-value + entropy * m.D.entropy(), m.D.logits)
        with torch.no_grad():
            for p, gradient in zip(logits, (g, d)):
                p -= 0.05 * gradient
    far = max((m.G.weights - 0.5).abs().max().item(), (m.D.weights - 0.5).abs().max().item())
    assert far < 1e-3 if settles else far > 0.1


def test_a_single_player_a_side_is_the_plain_gan():
    (mix, batch), (plain, _) = _small("mix_gan", players=1), _small("gan")
    mix.z = plain.z = lambda n: torch.arange(3.0 * n).reshape(n, 3) / 10
    for loss in ("critic_loss", "generator_loss"):
        a, b = getattr(mix, loss)(batch), getattr(plain, loss)(batch)
        assert a.item() == pytest.approx(b.item(), abs=1e-6)
    ours = torch.autograd.grad(mix.generator_loss(batch), list(mix.G.players.parameters()))
    theirs = torch.autograd.grad(plain.generator_loss(batch), list(plain.G.parameters()))
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(ours, theirs, strict=True))


def test_samples_come_from_generators_by_their_weights():
    torch.manual_seed(0)
    m = _linear("mix_gan", generators=(1.0, 10.0), critics=(1.0, 1.0), players=2)
    m.z = lambda n: torch.ones(n, 1)
    with torch.no_grad():
        m.G.logits.copy_(torch.tensor([math.log(3), 0.0]))
    y = m.sample(4000)
    assert set(y.flatten().tolist()) == {1.0, 10.0}
    assert (y == 1).float().mean().item() == pytest.approx(0.75, abs=0.03)


def test_clipping_spares_the_weights_of_the_mixture():
    m = _linear("mix_gan", generators=(1.0, 2.0), critics=(3.0, -1.0), players=2, adversarial="wgan[clip=0.5]")
    with torch.no_grad():
        m.D.logits.copy_(torch.tensor([2.0, -2.0]))
    m._constrain(m.D)
    assert m.D.logits.tolist() == [2, -2]
    assert [d.w.item() for d in m.D.players] == [0.5, -0.5]


# -- Reg-GAN and MDGAN: G(z) = 2 z; the critics in the order in which `build` asks for them


def test_terms_of_reg_gan():
    m = _linear("reg_gan", generators=(2.0,), critics=(0.3, 0.7))  # D, E
    x = torch.tensor([[1.0], [-2.0]])
    y = 2 * 0.7 * x
    expected = 0.2 * (x - y).square().mean() + 0.4 * F.softplus(-0.3 * y).mean()
    assert m.encoder_loss(Samples(x)).item() == pytest.approx(expected.item())
    m.z = lambda n: torch.ones(n, 1)
    assert m.generator_loss(Samples(x)).item() == pytest.approx(expected.item() + math.log1p(math.exp(-0.6)))
    game = F.softplus(-0.3 * x).mean() + F.softplus(torch.tensor(0.6))
    assert m.critic_loss(Samples(x)).item() == pytest.approx(game.item())


@pytest.mark.parametrize("logit", [-8.0, -1.0, 0.0, 1.0, 8.0])
def test_lambda2_draws_reconstructions_towards_what_the_critic_calls_real(logit):
    m = _linear("reg_gan", generators=(1.0,), critics=(logit, 1.0), lambda1=0.0)
    (gradient,) = torch.autograd.grad(m.encoder_loss(Samples(torch.ones(1, 1))), m.D.w)  # x = 1: the logit is the weight
    assert gradient.item() == pytest.approx(-0.4 / (1 + math.exp(logit)), rel=1e-5)
    assert gradient.item() < 0


def test_a_perfect_autoencoder_pays_no_distance():
    m = _linear("reg_gan", generators=(2.0,), critics=(1.0, 0.5), lambda2=0.0)
    assert m.encoder_loss(Samples(torch.randn(5, 1))).item() == 0


def test_one_optimiser_moves_generator_and_encoder_by_their_own_losses():
    m, batch = _small("reg_gan")
    ours = torch.autograd.grad(m.generator_loss(batch), list(m.E.parameters()))
    theirs = torch.autograd.grad(m.encoder_loss(batch), list(m.E.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    moved = {id(p) for group in m.opt_g.param_groups for p in group["params"]}
    assert moved == {id(p) for net in (m.G, m.E) for p in net.parameters()}


def test_terms_of_mdgan():
    m = _linear("mdgan", generators=(2.0,), critics=(0.3, 0.7, -0.4), lam=0.01)  # D, E, M
    x, z = torch.tensor([[1.0], [-2.0]]), torch.tensor([[0.5], [0.25]])
    m.z = lambda n: z
    y, batch, sp = 1.4 * x, Samples(x), F.softplus
    expected = {
        "manifold_critic_loss": sp(0.4 * x).mean() + sp(-0.4 * y).mean(),
        "manifold_loss": (x - y).square().mean() + 0.01 * sp(0.4 * y).mean(),
        "critic_loss": sp(-0.3 * y).mean() + sp(0.3 * 2 * z).mean(),
        "generator_loss": sp(-0.3 * 2 * z).mean(),
    }
    assert {k: getattr(m, k)(batch).item() for k in expected} == pytest.approx({k: v.item() for k, v in expected.items()})


def test_each_step_of_mdgan_moves_its_own_networks():
    m, batch = _small("mdgan")
    owners = {"opt_m": (m.M,), "opt_e": (m.G, m.E), "opt_d": (m.D,), "opt_g": (m.G,)}
    for name, nets in owners.items():
        moved = {id(p) for group in getattr(m, name).param_groups for p in group["params"]}
        assert moved == {id(p) for net in nets for p in net.parameters()}
    logs = next(m.train(itertools.repeat(batch)))
    assert logs.keys() == {"manifold_critic", "manifold", "critic", "generator"}


# -- RFGAN


def test_the_encoder_learns_first_and_then_stays_but_passes_gradients():
    m, batch = _small("rf_gan", steps=6, pretrain=0.5)
    params = list(m.D.encoder.parameters())
    states, steps = [], m.train(itertools.repeat(batch))
    for _ in steps:
        states.append(torch.cat([p.detach().clone().flatten() for p in params]))
    assert not torch.equal(states[1], states[2])
    assert torch.equal(states[2], states[5])
    assert not any(p.requires_grad for p in params)
    assert not m.D.encoder.training
    assert m.D.critic.training
    with torch.no_grad():
        m.D.critic.head.weight[:, 6:] = 0  # only the encoder's half remains
    x = torch.randn(4, 2, requires_grad=True)
    assert torch.autograd.grad(m.D(x).sum(), x)[0].abs().min() > 0


def test_the_head_reads_both_bodies():
    task = SimpleNamespace(
        shape=(3, 64, 64), z_dim=8, device=torch.device("cpu"),
        generator=lambda: nn.Linear(8, 8), critic=lambda outputs=1: conv_critic((3, 64, 64), 64, outputs),
    )  # fmt: skip
    m = registry.make("method", "rf_gan")(task)
    assert m.D.critic.head.in_features == 2 * 4 * 4 * 512 == 16384


def test_without_the_encoders_half_it_is_the_plain_critic():
    m, batch = _small("rf_gan")
    head = m.D.critic.head
    with torch.no_grad():
        head.weight[:, :6] = 0  # the encoder's half comes first
    expected = m.D.critic.represent(batch.x) @ head.weight[0, 6:] + head.bias
    assert torch.allclose(m.D(batch.x), expected, atol=1e-6)


def test_the_autoencoder_sees_its_input_with_entries_lost_and_is_judged_by_l1():
    m, batch = _small("rf_gan", noise=0.25)
    seen = []
    m.D.encoder.body.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    big = Samples(torch.ones(5000, 2))
    m.autoencoder_loss(big)
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert seen[0].mean().item() == pytest.approx(0.75, abs=0.02)
    m, batch = _small("rf_gan", noise=0.0)
    expected = (m.decoder(m.D.encoder(batch.x)) - batch.x).abs().mean()
    assert m.autoencoder_loss(batch).item() == pytest.approx(expected.item())


def test_the_generator_steps_twice_an_update():
    m, batch = _small("rf_gan", steps=3, pretrain=0.0)
    list(m.train(itertools.repeat(batch)))
    steps = [next(iter(opt.state.values()))["step"].item() for opt in (m.opt_d, m.opt_g)]
    assert steps == [3, 6]
