"""Adversarial losses against hand values, the gradient penalty against closed forms."""

import math

import pytest
import torch
from torch import nn

from bench import registry
from bench.conformance import checks
from methods.penalties import gradient_norm, gradient_penalty

REAL, FAKE = torch.tensor([[2.0], [0.5]]), torch.tensor([[-1.0], [0.0]])


def _sp(t: float) -> float:
    return math.log1p(math.exp(t))


# With the critic D(x) = x. Its penalty is 0, so WGAN-GP and WGAN agree.
HAND = {
    "wgan_gp": (-0.5 - 1.25, 0.5),
    "wgan": (-0.5 - 1.25, 0.5),
    "lsgan": ((1 + 0.25) / 2 / 2 + (1 + 0) / 2 / 2, (4 + 1) / 2),
    "nonsaturating": ((_sp(-2) + _sp(-0.5)) / 2 + (_sp(-1) + _sp(0)) / 2, (_sp(1) + _sp(0)) / 2),
    "saturating": ((_sp(-2) + _sp(-0.5)) / 2 + (_sp(-1) + _sp(0)) / 2, -(_sp(-1) + _sp(0)) / 2),
    "relativistic": (
        (_sp(-2.5) + _sp(-1) + _sp(-2.25) + _sp(-1.25)) / 2,  # the mean of the fakes is -0.5, that of the real ones 1.25
        (_sp(2.25) + _sp(1.25) + _sp(2.5) + _sp(1)) / 2,
    ),
    "relativistic_pairing": ((_sp(-3) + _sp(-0.5)) / 2, (_sp(3) + _sp(0.5)) / 2),
    "hinge": ((0 + 0.5) / 2 + (0 + 1) / 2, 0.5),
}


def test_every_adversarial_loss_has_its_hand_values():
    assert set(registry.names("adversarial")) == HAND.keys()


@pytest.mark.oracle("adversarial", "hinge", "lsgan", "nonsaturating", "saturating", "wgan", "wgan_gp")
@pytest.mark.oracle("adversarial", "relativistic", "relativistic_pairing")
@pytest.mark.parametrize("name", HAND)
def test_hand_values(name):
    loss = registry.make("adversarial", name)
    critic, generator = HAND[name]
    assert loss.critic(nn.Identity(), REAL, FAKE).item() == pytest.approx(critic, abs=1e-5)
    assert loss.generator(nn.Identity(), FAKE, REAL).item() == pytest.approx(generator, abs=1e-6)


@pytest.mark.parametrize("name", HAND)
def test_maps_of_scores_are_averaged(name):
    loss = registry.make("adversarial", name)
    fake = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    flat = fake.reshape(-1, 1)
    generator = [loss.generator(nn.Identity(), scores, scores + 1).item() for scores in (fake, flat)]
    assert generator[0] == pytest.approx(generator[1], abs=1e-6)
    if name != "wgan_gp":  # its penalty sees samples, not entries
        assert loss.critic(nn.Identity(), fake + 1, fake).item() == pytest.approx(
            loss.critic(nn.Identity(), flat + 1, flat).item(),
            abs=1e-6,
        )


@pytest.mark.parametrize(
    ("z", "saturating", "nonsaturating"),
    [(-10.0, 4.5398e-5, 0.9999546), (-5.0, 0.0066929, 0.9933071), (0.0, 0.5, 0.5)],
)
def test_saturation(z, saturating, nonsaturating):
    for name, expected in (("saturating", saturating), ("nonsaturating", nonsaturating)):
        score = torch.tensor([z], requires_grad=True)
        registry.make("adversarial", name).generator(nn.Identity(), score, torch.zeros(1)).backward()
        assert -score.grad.item() == pytest.approx(expected, rel=1e-4)


def test_relativistic_squares_of_two_diracs():
    """All real scores r, all fakes f: critic 2 (r - f - 1)^2, generator 2 (f - r - 1)^2,
    of which one half comes through the real samples.
    """
    loss = registry.make("adversarial", "relativistic[form=lsgan]")
    real, fake = torch.full((3, 1), 0.7), torch.full((5, 1), -0.4, requires_grad=True)
    assert loss.critic(nn.Identity(), real, fake).item() == pytest.approx(2 * 0.1**2, abs=1e-6)
    generator = loss.generator(nn.Identity(), fake, real)
    assert generator.item() == pytest.approx(2 * 2.1**2, rel=1e-6)
    generator.backward()
    assert torch.allclose(fake.grad, torch.full((5, 1), -4 * 2.1 / 5))


RELATIVISTIC = ["relativistic", "relativistic[form=lsgan]", "relativistic[form=hinge]", "relativistic_pairing"]


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_a_relativistic_game_sees_differences_alone(name):
    """A constant added to every score changes nothing, and the generator's loss is the critic's with the kinds exchanged."""
    loss = registry.make("adversarial", name)
    assert loss.critic(lambda x: x + 3, REAL, FAKE).item() == pytest.approx(loss.critic(nn.Identity(), REAL, FAKE).item(), abs=1e-5)
    assert loss.generator(nn.Identity(), FAKE, REAL).item() == pytest.approx(loss.critic(nn.Identity(), FAKE, REAL).item(), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "critic", "generator", "equal"),
    [
        ("relativistic", 2 * 0.510253, 2 * 1.343587, 2 * math.log(2)),  # the author's code halves what is an average
        ("relativistic[form=lsgan]", 2 * 1.555556, 2 * 4.888888, 2),
        ("relativistic[form=hinge]", 2 * 0.638889, 2 * 1.833333, 2),
        ("relativistic_pairing", 0.777582, 1.610915, math.log(2)),
    ],
)
def test_relativistic_games_have_the_values_of_the_authors_code(name, critic, generator, equal):
    loss, real, fake = registry.make("adversarial", name), torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.0, 1.0, -2.0])
    assert loss.critic(nn.Identity(), real, fake).item() == pytest.approx(critic, abs=2e-6)
    assert loss.generator(nn.Identity(), fake, real).item() == pytest.approx(generator, abs=2e-6)
    same = torch.full((3,), 0.3)
    assert loss.critic(nn.Identity(), same, same).item() == pytest.approx(equal, abs=1e-6)
    assert loss.generator(nn.Identity(), same, same).item() == pytest.approx(equal, abs=1e-6)


class _Recorder:
    """A game that notes the real samples of both players."""

    def __init__(self, game):
        self.game, self.critics, self.generators = game, [], []
        self.constrain = game.constrain

    def critic(self, D, real, fake):
        self.critics.append(real.detach().clone())
        return self.game.critic(D, real, fake)

    def generator(self, D, fake, real):
        self.generators.append(real.detach().clone())
        return self.game.generator(D, fake, real)


GAMES = [name for name in registry.names("method") if "adversarial" in registry.settings(registry.find("method", name))]
OTHER_GENERATORS = {"feature_matching_gan", "gradient_regularized_gan", "unrolled_gan"}  # one matches features, two play zero-sum games
OTHER_CRITICS = {"infogan"}  # its critic is shown features


@pytest.mark.parametrize("name", sorted(set(GAMES) - OTHER_GENERATORS - OTHER_CRITICS))
def test_both_players_get_the_same_real_samples(name):
    m = checks.make(name)
    m.adversarial = _Recorder(m.adversarial)
    rng = torch.Generator().manual_seed(0)
    m.prepare(m.task.batch(2, rng) for _ in range(10**6))
    for _ in m.train(m.task.batch(2, rng) for _ in range(10**6)):
        pass
    assert m.adversarial.generators
    for real in m.adversarial.generators:
        assert any(real.shape == seen.shape and torch.equal(real, seen) for seen in m.adversarial.critics)


@pytest.mark.parametrize("name", ["dcgan", "infogan", "deblurgan", "pix2pix", "cyclegan", "salgan"])
def test_methods_play_relativistic_games(name):
    m = checks.make(name, adversarial="relativistic")
    rng = torch.Generator().manual_seed(0)
    logs = [float(logs["generator"]) for logs in m.train(m.task.batch(2, rng) for _ in range(100)) if "generator" in logs]
    assert logs
    assert all(map(math.isfinite, logs))


def test_wgan_clips_every_parameter_and_others_none():
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    nn.init.constant_(critic[0].bias, -3.0)
    before = [p.detach().clone() for p in critic.parameters()]
    for name in HAND.keys() - {"wgan"}:
        registry.make("adversarial", name).constrain(critic)
    assert all(torch.equal(p, q) for p, q in zip(critic.parameters(), before))
    registry.make("adversarial", "wgan[clip=0.02]").constrain(critic)
    assert all(torch.equal(p, q.clamp(-0.02, 0.02)) for p, q in zip(critic.parameters(), before))


class _Linear(nn.Module):
    """D(x) = <a, x>, summed over everything."""

    def __init__(self, a: torch.Tensor) -> None:
        super().__init__()
        self.a = nn.Parameter(a)

    def forward(self, x):
        return (self.a * x).flatten(1).sum(1)


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_exact(norm):
    a = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1))
    real, fake = torch.randn(2, 4, 3, 5, 7)
    assert gradient_penalty(_Linear(norm * a / a.norm()), real, fake).item() == pytest.approx((norm - 1) ** 2, abs=1e-5)


def test_the_norm_is_taken_over_the_whole_sample_not_one_axis():
    a = torch.ones(3, 4, 6) / 3**0.5  # the norm over the channels is 1 at every pixel, of the sample sqrt(24)
    assert torch.allclose(gradient_norm(_Linear(a), torch.zeros(2, 3, 4, 6)), torch.tensor(24.0).sqrt())


def test_a_map_counts_as_its_mean():
    assert torch.allclose(gradient_norm(lambda x: 5 * x, torch.zeros(2, 1, 4, 4)), torch.tensor(5 / 4.0))


def test_each_sample_is_mixed_by_its_own_alpha():
    torch.manual_seed(0)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    gradient_penalty(critic, torch.ones(6, 3, 4, 4), torch.zeros(6, 3, 4, 4))
    (x,) = seen
    alpha = x.flatten(1)
    assert torch.equal(alpha.min(1).values, alpha.max(1).values)
    assert len(alpha[:, 0].unique()) == 6
    assert 0 <= alpha.min() < alpha.max() <= 1


def test_the_penalty_is_differentiable_in_the_critic_even_where_its_gradient_vanishes():
    critic = _Linear(torch.zeros(3, 2, 2))
    gradient_penalty(critic, *torch.randn(2, 4, 3, 2, 2)).backward()
    assert torch.isfinite(critic.a.grad).all()


def test_wgan_gp_on_two_diracs_reaches_the_closed_form():
    theta, gp = 3.0, 10.0  # psi* = 1 + theta / (2 gp), value theta + theta^2 / (4 gp)
    critic = _Linear(torch.tensor([1 + theta / (2 * gp)]))
    loss = registry.make("adversarial", "wgan_gp").critic(critic, torch.full((2, 1), theta), torch.zeros(2, 1))
    assert -loss.item() == pytest.approx(3.225, abs=1e-5)
    loss.backward()
    assert critic.a.grad.item() == pytest.approx(0, abs=1e-4)
