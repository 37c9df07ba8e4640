"""The techniques of Salimans et al. 2016, one file each, against hand values and the claims of their sections."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parameters_to_vector

from bench.conformance import checks
from bench.errors import UsageError
from bench.method import Samples
from methods.gan.minibatch_discrimination_gan import _Minibatch
from methods.gan.virtual_batchnorm_gan import _VirtualBatchNorm


def _batch(m, n=4, seed=0):
    return m.task.batch(n, torch.Generator().manual_seed(seed))


def test_feature_matching_is_at_rest_where_the_means_agree():
    m = checks.make("feature_matching_gan")
    batch = _batch(m)
    y = batch.x.flip(0).clone().requires_grad_()
    m.fake = lambda n: y
    loss = m.generator_loss(batch)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-10)
    assert y.grad.abs().max() < 1e-6


def test_feature_matching_by_hand():
    m = checks.make("feature_matching_gan")
    batch, y = _batch(m), torch.rand(6, 1, 16, 16)
    m.fake = lambda n: y
    expected = sum((a - b) ** 2 for a, b in zip(m.D.represent(batch.x).mean(0), m.D.represent(y).mean(0)))
    assert m.generator_loss(batch).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("alpha", [0.9, 0.75])
def test_smoothing_is_one_sided(alpha):
    m = checks.make("label_smoothing_gan", alpha=alpha)
    m.D, m.fake = nn.Identity(), lambda n: torch.tensor([-1.0, 0.5])
    real = torch.tensor([2.0, -0.3])
    p, q = torch.sigmoid(real), torch.sigmoid(m.fake(2))
    expected = -(alpha * p.log() + (1 - alpha) * (1 - p).log()).mean() - (1 - q).log().mean()
    assert m.critic_loss(Samples(real)).item() == pytest.approx(expected.item(), rel=1e-5)
    assert m.generator_loss(Samples(real)).item() == pytest.approx(-q.log().mean().item(), rel=1e-5)


def test_minibatch_statistics_by_hand():
    torch.manual_seed(0)
    head, f = _Minibatch(4, 3, 5), torch.randn(6, 4)
    T = head.T.weight.T.reshape(4, 3, 5)  # A x B x C
    expected = torch.zeros(6, 3)
    for i, j, b in itertools.product(range(6), range(6), range(3)):
        if i != j:
            expected[i, b] += torch.exp(-(f[i] @ T[:, b] - f[j] @ T[:, b]).abs().sum())
    assert head.closeness(f).shape == (6, 3)
    assert torch.allclose(head.closeness(f), expected, atol=1e-5)
    assert head.score.in_features == 7
    assert head(f).shape == (6, 1)


def test_a_sample_is_not_compared_with_itself():
    torch.manual_seed(0)
    head, f = _Minibatch(4, 3, 5), torch.randn(1, 4)
    assert torch.allclose(head.closeness(f.expand(6, 4)), torch.tensor(5.0))
    assert torch.allclose(head.closeness(f), torch.tensor(0.0), atol=1e-6)
    assert torch.allclose(head.closeness(1e4 * torch.randn(6, 4)), torch.tensor(0.0), atol=1e-6)


def test_real_and_fake_batches_are_judged_apart():
    m = checks.make("minibatch_discrimination_gan")
    batch, y = _batch(m), torch.rand(4, 1, 16, 16)
    m.fake = lambda n: y
    apart = F.softplus(-m.D(batch.x)).mean() + F.softplus(m.D(y)).mean()
    real, fake = m.D(torch.cat([batch.x, y])).split(4)
    together = F.softplus(-real).mean() + F.softplus(fake).mean()
    assert m.critic_loss(batch).item() == pytest.approx(apart.item(), rel=1e-6)
    assert abs(apart - together) > 1e-3
    lone = torch.cat([m.D(batch.x[i : i + 1]) for i in range(4)])
    assert not torch.allclose(m.D(batch.x), lone, atol=1e-3)  # the batch counts


def test_the_average_is_that_of_all_parameters_so_far():
    m = checks.make("historical_averaging_gan", steps=5)
    data = (_batch(m, 2, i) for i in itertools.count())
    m.prepare(data)
    past = {"G": [parameters_to_vector(m.G.parameters()).detach()], "D": [parameters_to_vector(m.D.parameters()).detach()]}
    assert torch.equal(m.average_g, past["G"][0])
    for _ in m.train(data):
        for k, average in (("G", m.average_g), ("D", m.average_d)):
            past[k].append(parameters_to_vector(getattr(m, k).parameters()).detach())
            assert torch.allclose(average, torch.stack(past[k]).mean(0), atol=1e-6)


def test_each_player_pays_for_its_drift():
    m = checks.make("historical_averaging_gan", weight=0.3)
    batch, y = _batch(m), torch.rand(4, 1, 16, 16)
    m.fake = lambda n: y
    m.average_g, m.average_d = (parameters_to_vector(n.parameters()).detach() + shift for n, shift in ((m.G, 0.1), (m.D, -0.2)))
    plain = m.adversarial.critic(m.D, batch.x, y), m.adversarial.generator(m.D, y, batch.x)
    assert (m.critic_loss(batch) - plain[0]).item() == pytest.approx(0.3 * len(m.average_d) * 0.04, rel=1e-3)
    assert (m.generator_loss(batch) - plain[1]).item() == pytest.approx(0.3 * len(m.average_g) * 0.01, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "low", "high"), [(0.0, 7.6, 7.8), (0.1, 0, 0.02)])
def test_averaging_turns_a_spiral_inwards(weight, low, high):
    """The game min over x of max over y of (x - 1) (y - 1), from (3, 3): 20 000 simultaneous steps of 0.01."""

    class Scalar(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))

    m = checks.make("historical_averaging_gan", weight=weight)
    m.G, m.D = Scalar(), Scalar()
    m.average_g, m.average_d = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for m.t in range(20_000):
        m.remember()
        v = (m.G.w - 1) * (m.D.w - 1)
        losses = v + m.drift(m.G, m.average_g), -v + m.drift(m.D, m.average_d)
        gradients = [torch.autograd.grad(loss, n.w, retain_graph=True)[0] for loss, n in zip(losses, (m.G, m.D))]
        with torch.no_grad():
            for n, g in zip((m.G, m.D), gradients):
                n.w -= 0.01 * g
    assert low <= math.hypot(m.G.w.item() - 1, m.D.w.item() - 1) <= high


def test_virtual_batch_norm_by_hand():
    torch.manual_seed(0)
    norm, x = _VirtualBatchNorm(3, 5), torch.randn(9, 3, 4, 4) * 2 + 1
    y = norm(x)
    for c in range(3):
        ref = x[:5, c]
        for i in range(5, 9):
            share = 1 / 6
            mean = share * x[i, c].mean() + (1 - share) * ref.mean()
            square = share * (x[i, c] ** 2).mean() + (1 - share) * (ref**2).mean()
            expected = norm.weight[c] * (x[i, c] - mean) / torch.sqrt(1e-5 + square - mean**2) + norm.bias[c]
            assert torch.allclose(y[i, c], expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 4)])
def test_the_reference_batch_is_normalised_by_itself(shape):
    torch.manual_seed(0)
    norm = _VirtualBatchNorm(3, 50)
    nn.init.ones_(norm.weight)
    y = norm(torch.randn(60, *shape) * 3 + 2)[:50].transpose(0, 1).flatten(1)
    assert torch.allclose(y.mean(1), torch.zeros(3), atol=1e-5)
    assert torch.allclose(y.var(1, correction=0), torch.ones(3), atol=1e-4)


def test_a_sample_does_not_depend_on_the_rest_of_its_batch():
    m = checks.make("virtual_batchnorm_gan")
    m.prepare(iter(()))
    assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in m.G.modules())
    z = torch.randn(6, m.task.z_dim)
    m.z = lambda n: z[:n]
    assert torch.allclose(m.fake(6)[:1], m.fake(1), atol=1e-6)
    plain = m.task.generator()
    assert (plain(z)[:2] - plain(z[:2])).abs().max() > 0.01


def test_log_odds_of_the_k_plus_1_classes_are_logsumexp():
    logits = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])
    Z = logits.exp().sum(1)
    everything = F.softmax(torch.cat([logits, torch.zeros(2, 1)], 1), 1)
    assert torch.allclose(torch.sigmoid(logits.logsumexp(1)), Z / (Z + 1))
    assert torch.allclose(1 - everything[:, 3], Z / (Z + 1))


def test_semi_supervised_losses_by_hand():
    m = checks.make("semi_supervised_gan")
    real, fake = (
        torch.randn(5, 10, generator=torch.Generator().manual_seed(0)),
        torch.randn(7, 10, generator=torch.Generator().manual_seed(1)),
    )
    Zr, Zf = real.exp().sum(1), fake.exp().sum(1)
    assert m.unsupervised(real, fake).item() == pytest.approx(
        -((Zr / (Zr + 1)).log().mean() + (1 / (Zf + 1)).log().mean()).item() / 2,
        rel=1e-5,
    )
    lse = torch.logsumexp
    code = -lse(real, 1).mean() / 2 + F.softplus(lse(real, 1)).mean() / 2 + F.softplus(lse(fake, 1)).mean() / 2
    assert m.unsupervised(real, fake).item() == pytest.approx(code.item(), rel=1e-5)
    labels = torch.tensor([0, 3, 9, 3, 1])
    assert m.supervised(real, labels).item() == pytest.approx((lse(real, 1) - real[torch.arange(5), labels]).mean().item(), rel=1e-5)


def test_only_few_labels_are_seen():
    m = checks.make("semi_supervised_gan", labelled=2, batch_size=16)
    seen = []

    def data():
        for i in itertools.count():
            seen.append(_batch(m, 16, i))
            yield seen[-1]

    m.prepare(data())
    assert m.labels.bincount(minlength=10).tolist() == [2] * 10
    x, labels = torch.cat([b.x for b in seen]), torch.cat([b.labels for b in seen])
    for k in range(10):
        assert torch.equal(m.x[m.labels == k], x[labels == k][:2])  # the first of each class, with its own label
    batch = _batch(m, 16, 99)
    torch.manual_seed(3)
    loss = m.critic_loss(batch)
    torch.manual_seed(3)
    assert m.critic_loss(Samples(batch.x)).item() == loss.item()  # the stream's labels are not read


def test_a_class_that_never_comes_is_reported():
    m = checks.make("semi_supervised_gan", labelled=1, batch_size=4)
    batch = Samples(torch.rand(4, 1, 16, 16), torch.tensor([0, 1, 2, 3]))
    with pytest.raises(UsageError, match="labelled=1"):
        m.prepare(itertools.repeat(batch))


def test_the_classifier_learns_from_few_labels():
    m = checks.make("semi_supervised_gan", labelled=10, batch_size=32, steps=150, optimizer="adam[lr=3e-3,betas=(0.5,0.999)]")
    data = (_batch(m, 32, i) for i in itertools.count(1000))
    m.prepare(data)
    for _ in m.train(data):
        pass
    test = _batch(m, 200, 7)
    probabilities = m.classify(test.x)
    assert torch.allclose(probabilities.sum(1), torch.ones(200), atol=1e-5)
    assert (probabilities.argmax(1) == test.labels).float().mean() > 0.8


def test_a_sheet_has_a_row_for_every_class():
    m = checks.make("semi_supervised_gan")
    x = _batch(m, 500).x
    bright = x[:, 0, :10].mean(2).argmax(1)  # of the rows, whose number is the class
    m.sample, m.classify = lambda n: x, lambda y: F.one_hot(torch.where(bright == 9, 8, bright), 10)
    (rows,) = m.sheets(columns=6).values()
    for k in range(9):
        assert torch.equal(rows[k], x[bright == k][:6] if k < 8 else x[(bright == 8) | (bright == 9)][:6])
    assert rows[9].eq(1).all()  # nothing is of that class


@pytest.mark.parametrize("name", ["feature_matching_gan", "label_smoothing_gan", "minibatch_discrimination_gan", "historical_averaging_gan",
                                  "virtual_batchnorm_gan", "semi_supervised_gan"])  # fmt: skip
def test_rate_falls_over_the_last_third(name):
    m = checks.make(name, steps=1200)
    rates = []
    for m.t in (0, 400, 800, 1000, 1200):
        m.anneal()
        rates.append(m.opt_g.param_groups[0]["lr"] / 3e-4)
    assert rates == pytest.approx([min(3 - epoch / 400, 1) for epoch in (0, 400, 800, 1000, 1200)], abs=1e-3)
