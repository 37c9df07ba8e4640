"""The auxiliary classifier's game: its losses by hand, and samples of a class that is asked for."""

import pytest
import torch
import torch.nn.functional as F

from bench.conformance import checks
from bench.errors import UsageError


def _made(**options):
    m = checks.make("ac_gan", **options)
    return m, m.task.batch(6, torch.Generator().manual_seed(0))


def _scores(m, x):
    return m.D(x).double()


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_losses_are_those_of_the_source_and_of_the_class(weight):
    m, batch = _made(auxiliary=weight)
    z = m.z(6)
    m.z = lambda n: z
    c = z[:, m.task.z_dim :].argmax(1)
    real, fake = _scores(m, batch.x), _scores(m, m.G(z))
    source = -F.logsigmoid(real[:, 0]).mean() - F.logsigmoid(-fake[:, 0]).mean()
    likely = [scores[:, 1:].log_softmax(1)[range(6), classes].mean() for scores, classes in ((real, batch.labels), (fake, c))]
    assert m.critic_loss(batch).item() == pytest.approx((source - weight * sum(likely)).item(), rel=1e-5)
    assert m.generator_loss(batch).item() == pytest.approx((-F.logsigmoid(fake[:, 0]).mean() - weight * likely[1]).item(), rel=1e-5)


def test_a_critic_that_knows_nothing_costs_a_guess_each():
    m, batch = _made()
    torch.nn.init.zeros_(m.D.head.weight)
    torch.nn.init.zeros_(m.D.head.bias)
    assert m.critic_loss(batch).item() == pytest.approx(2 * torch.tensor([2.0, 10.0]).log().sum().item(), rel=1e-5)


def test_the_class_tells_the_critic_nothing_of_the_source():
    """The first score is the game's alone, the others are the class's alone."""
    m, batch = _made()
    m.critic_loss(batch).backward()
    both = m.D.head.weight.grad.clone()
    m.D.zero_grad()
    m.hp = type(m.hp)(**{**vars(m.hp), "auxiliary": 0.0})
    torch.manual_seed(0)
    m.critic_loss(batch).backward()
    assert (m.D.head.weight.grad[1:] == 0).all()
    assert (both[1:] != 0).any()


def test_latents_bear_the_class_that_is_asked_for():
    m, _ = _made()
    labels = torch.tensor([3, 0, 9, 3])
    z = m.z(4, labels)
    assert z[:, m.task.z_dim :].argmax(1).tolist() == labels.tolist()
    assert (z[:, m.task.z_dim :].sum(1) == 1).all()
    drawn = m.z(2000)[:, m.task.z_dim :].mean(0)
    assert (drawn - 0.1).abs().max() < 0.03


def test_samples_of_a_class():
    m, _ = _made()
    torch.nn.init.normal_(m.G.move.weight, std=3.0)
    m.G.eval()
    torch.manual_seed(0)
    one = m.sample(2, torch.tensor([1, 1]))
    torch.manual_seed(0)
    other = m.sample(2, torch.tensor([1, 7]))
    assert torch.equal(one[0], other[0])
    assert not torch.allclose(one[1], other[1])
    with pytest.raises(UsageError, match="3 samples want 3 labels, not 2"):
        m.sample(3, torch.tensor([0, 1]))


def test_a_sheet_shows_every_class_from_the_same_noise():
    m, _ = _made()
    torch.nn.init.zeros_(m.G.move.weight)
    m.G.eval()
    (rows,) = m.sheets(3).values()
    assert rows.shape == (10, 3, *m.task.shape)
    torch.testing.assert_close(rows, rows[:1].expand_as(rows))
    assert not torch.allclose(rows[0, 0], rows[0, 1])
