"""pix2pix and CycleGAN: sizes, fields, losses by hand, histories, schedules; the baselines in closed form."""

import itertools
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import UsageError
from bench.method import Batch
from bench.task import Stream
from bench.tasks.translate import Translate
from methods.translation._networks import PATCHES, EncoderDecoder, OwnStatistics, patch_critic
from methods.translation._pool import Pool

TASK = SimpleNamespace(crop=32, channels=3)
TOY = {
    "pix2pix": "pix2pix[ngf=8,ndf=4,depth=3,patch=16,dropout=0,init=default,steps=40,optimizer='adam[lr=5e-3]']",
    "cyclegan": "cyclegan[ngf=4,ndf=4,blocks=1,pool=2,identity=0.5,init=default,steps=25,optimizer='adam[lr=5e-3]']",
}


def make(spec):
    torch.manual_seed(0)
    return registry.make("method", spec)(TASK)


def pair(n=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = nn.functional.interpolate(torch.rand(n, 3, 8, 8, generator=rng), scale_factor=4)
    return Batch(x, 1 - x)


def count(net):
    return sum(p.numel() for p in net.parameters())


# -- networks


@pytest.mark.parametrize(("options", "expected"), [({}, 54_413_955), ({"depth": 7}, 41_828_995), ({"skips": False}, 39_075_459)])
def test_generators_have_the_published_sizes(options, expected):
    with torch.device("meta"):
        net = EncoderDecoder(**options)
        side = 2 ** options.get("depth", 8)
        assert count(net) == expected
        assert net(torch.empty(2, 3, side, 2 * side)).shape == (2, 3, side, 2 * side)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [(1, 9_024), (16, 139_585), (34, 666_433), (70, 2_768_705), (142, 6_964_033), (286, 11_159_361)],
)
def test_critics_have_the_published_sizes(patch, expected):
    with torch.device("meta"):
        assert count(patch_critic(patch, 6, 64)) == expected


@pytest.mark.parametrize("patch", PATCHES)
def test_critics_see_their_patch_by_gradient_support(patch):
    critic = patch_critic(patch, 1, 2)
    for module in critic.modules():  # norms mix all pixels: what remains is linear, with a support that nothing cancels
        for name, child in module.named_children():
            if isinstance(child, OwnStatistics):
                setattr(module, name, nn.Identity())
    for p in critic.parameters():
        nn.init.constant_(p, 1.0)
    x = torch.ones(1, 1, 320, 320, requires_grad=True)
    scores = critic(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    for axis in (0, 1):
        seen = x.grad[0, 0].abs().sum(axis).nonzero().flatten()
        assert seen.max() - seen.min() + 1 == len(seen) == patch


def test_layers_of_the_256_pixel_generator():
    with torch.device("meta"):
        net = EncoderDecoder()
    ups = [next(m for m in up.modules() if isinstance(m, nn.ConvTranspose2d)) for up in net.up]
    assert [c.in_channels for c in ups] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert [c.out_channels for c in ups] == [512, 512, 512, 512, 256, 128, 64, 3]
    assert [up[-1].p for up in net.up[:-1]] == [0.5, 0.5, 0.5, 0, 0, 0, 0]
    assert sum(isinstance(m, OwnStatistics) for m in net.down.modules()) == 6  # neither on the first nor on the innermost layer
    assert not any(isinstance(m, OwnStatistics) for m in net.up[-1].modules())


def test_skips_carry_what_the_bottleneck_loses():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 16, 16)
    y = x.clone()
    y[..., 3, 3] += 0.1
    for skips in (True, False):
        net = EncoderDecoder(ngf=4, depth=3, skips=skips).eval()
        net.down[-1] = _Constant()
        changed = (net(x) - net(y)).abs().max() > 0
        assert changed == skips


class _Constant(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 16, x.shape[-2] // 2, x.shape[-1] // 2)


def test_batch_norm_tests_on_each_picture_alone():
    torch.manual_seed(0)
    norm, x = OwnStatistics(4), torch.randn(3, 4, 5, 6) * 3 + 1
    nn.init.normal_(norm.weight)
    reference = nn.BatchNorm2d(4)
    reference.load_state_dict(norm.state_dict(), strict=False)
    torch.testing.assert_close(norm(x), reference(x))  # in training the whole batch
    norm.eval()
    torch.testing.assert_close(norm(x), torch.cat([reference(one) for one in x.split(1)]))  # a test batch of one, in its training mode


# -- pix2pix


def trains(m, data):
    logs = list(m.train(itertools.repeat(data)))
    assert m.t == len(logs) == m.hp.steps
    assert all(torch.isfinite(v) and not v.requires_grad for log in logs for v in log.values())


def test_pix2pix_overfits_one_pair():
    m, data = make(TOY["pix2pix"]), pair()
    before = (m.restore(data) - data.target).abs().mean()
    trains(m, data)
    assert (m.restore(data) - data.target).abs().mean() < 0.5 * before


def test_cyclegan_learns_to_come_back():
    m, data = make(TOY["cyclegan"]), pair()
    x = 2 * data.observed - 1
    before = (m.F(m.G(x)) - x).abs().mean()
    trains(m, data)
    assert (m.F(m.G(x)) - x).abs().mean() < 0.85 * before


@pytest.mark.parametrize("name", TOY)
@pytest.mark.parametrize("size", [(32, 32), (33, 46), (17, 24)])
def test_restores_any_size_into_the_unit_range(name, size):
    y = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    x = make(TOY[name]).restore(Batch(y))
    assert x.shape == y.shape
    assert 0 <= x.min() <= x.max() <= 1
    assert not x.requires_grad


def softplus(x):
    return torch.log1p(x.exp())


def test_pix2pix_losses_by_hand():
    m, data = make(TOY["pix2pix"]), pair()
    m.G.eval(), m.D.eval()
    y = m.fake(data)
    x, t = 2 * data.observed - 1, 2 * data.target - 1
    real, made = m.D(torch.cat([x, t], 1)), m.D(torch.cat([x, y], 1))
    assert m.critic_loss(data, y).item() == pytest.approx(((softplus(-real).mean() + softplus(made).mean()) / 2).item(), rel=1e-5)
    expected = softplus(-made).mean() + 100 * (y - t).abs().mean()
    assert m.generator_loss(data, y).item() == pytest.approx(expected.item(), rel=1e-5)


def test_pix2pix_ablations_of_table_1():
    data = pair()
    alone = make(TOY["pix2pix"].replace("patch=16", "patch=16,adversarial_weight=0"))
    critic = {k: v.clone() for k, v in alone.D.state_dict().items()}
    assert len(list(alone.train(itertools.repeat(data)))) == 40
    assert all(torch.equal(v, critic[k]) for k, v in alone.D.state_dict().items())
    y = alone.fake(data)
    assert alone.generator_loss(data, y).item() == pytest.approx(100 * (y - (2 * data.target - 1)).abs().mean().item())
    blind = make(TOY["pix2pix"].replace("patch=16", "patch=16,conditional=False"))
    other = Batch(torch.rand_like(data.observed), data.target)
    assert blind.critic_loss(data, y.detach()) == blind.critic_loss(other, y.detach())
    assert next(blind.D.parameters()).shape[1] == 3
    seeing = make(TOY["pix2pix"])
    assert seeing.critic_loss(data, y.detach()) != seeing.critic_loss(other, y.detach())


@pytest.mark.parametrize(("mc_dropout", "same"), [(False, True), (True, False)])
def test_pix2pix_is_noisy_when_testing(mc_dropout, same):
    m, data = make(f"pix2pix[ngf=4,ndf=4,depth=3,patch=16,mc_dropout={mc_dropout}]"), pair()
    m.G.eval()
    assert torch.equal(m.restore(data), m.restore(data)) == same


def test_pix2pix_wants_crops_that_can_be_halved():
    with pytest.raises(UsageError, match="multiple of 64 pixels, not 32"):
        make("pix2pix[ngf=4,ndf=4,depth=6]")


# -- CycleGAN


def test_cyclegan_losses_by_hand():
    m, data = make(TOY["cyclegan"]), pair()
    x, y = 2 * data.observed - 1, 2 * pair(seed=5).target - 1
    fake_x, fake_y = m.F(y), m.G(x)
    game = (m.D_Y(fake_y) - 1).square().mean() + (m.D_X(fake_x) - 1).square().mean()
    cycle = (m.F(fake_y) - x).abs().mean() + (m.G(fake_x) - y).abs().mean()
    identity = (m.G(y) - y).abs().mean() + (m.F(x) - x).abs().mean()
    assert m.generator_loss(x, y, fake_x, fake_y).item() == pytest.approx((game + 10 * cycle + 5 * identity).item(), rel=1e-5)
    critics = sum((d(real) - 1).square().mean() + d(fake).square().mean() for d, real, fake in ((m.D_X, x, fake_x), (m.D_Y, y, fake_y))) / 2
    assert m.critic_loss(x, y, fake_x, fake_y).item() == pytest.approx(critics.item(), rel=1e-5)


def test_cyclegan_never_sees_a_pair():
    class Numbered:
        """Pairs of constant pictures; batch i is of level i."""

        def __init__(self):
            self.drawn = 0

        def __next__(self):
            self.drawn += 1
            x = torch.full((1, 3, 32, 32), self.drawn / 100)
            return Batch(x, x)

    m, seen = make("cyclegan[ngf=2,ndf=2,blocks=1,steps=5]"), []
    loss = m.generator_loss
    m.generator_loss = lambda x, y, *fakes: seen.append((x.mean().item(), y.mean().item())) or loss(x, y, *fakes)
    list(m.train(Numbered()))
    levels = [round((v + 1) * 50) for both in seen for v in both]
    assert levels == list(range(1, 11))


def test_the_pool_fills_and_then_exchanges_every_second():
    torch.manual_seed(0)
    pool = Pool(50)
    pictures = torch.arange(3050.0).view(-1, 1, 1, 1)
    assert torch.equal(pool.exchange(pictures[:50]), pictures[:50])
    shown = pool.exchange(pictures[50:])
    kept = (shown == pictures[50:]).float().mean().item()
    assert kept == pytest.approx(0.5, abs=0.04)  # 4 standard deviations
    assert len(pool.pictures) == 50
    everything = Counter(int(v) for v in torch.cat([shown.flatten(), torch.stack(pool.pictures).flatten()]))
    assert everything == Counter(range(3050))  # each picture is shown once or still waits


def test_a_pool_of_none_shows_what_is_new():
    new = torch.rand(4, 3, 2, 2)
    assert torch.equal(Pool(0).exchange(new), new)


def test_the_pool_keeps_values_not_graphs():
    pool, weight = Pool(2), torch.ones(1, requires_grad=True)
    assert not pool.exchange(weight.view(1, 1, 1, 1)).requires_grad
    again = Pool(2)
    again.load_state_dict(pool.state_dict())
    assert torch.equal(torch.stack(again.pictures), torch.stack(pool.pictures))


# -- the schedule


def rates(convention, epochs=200, decay=100, per_epoch=7):
    schedule = registry.make("schedule", f"epoch_decay[epochs={epochs},decay={decay},convention={convention}]")
    updates = epochs * per_epoch
    rate = [schedule(t / updates) for t in range(updates)]
    assert all(len(set(rate[e * per_epoch : (e + 1) * per_epoch])) == 1 for e in range(epochs))  # changes between epochs only
    return rate[::per_epoch]


def test_lua_schedule_subtracts_after_each_epoch_of_the_decay():
    expected, rate = [], 1.0
    for epoch in range(1, 201):
        expected.append(rate)
        if epoch > 100:
            rate -= 1 / 100
    assert rates("lua") == pytest.approx(expected)
    assert rates("lua")[-1] == pytest.approx(0.01)
    assert rates("lua")[:101] == [1.0] * 101


def test_pytorch_schedule_ends_at_zero():
    expected = [1 - max(0, epoch + 1 + 1 - 100) / (100 + 1) for epoch in range(200)]
    assert rates("pytorch") == pytest.approx(expected)
    assert rates("pytorch")[98:100] == [1.0, pytest.approx(100 / 101)]
    assert rates("pytorch")[-1] == 0


def test_cyclegan_follows_the_lua_schedule_by_default():
    m = make("cyclegan[ngf=2,ndf=2,blocks=1,steps=200]")
    for t, expected in ((0, 1), (100, 1), (101, 0.99), (199, 0.01)):
        m.t = t
        m.anneal()
        assert m.opt_g.param_groups[0]["lr"] == pytest.approx(2e-4 * expected)


# -- baselines


def trained(name, task):
    m = make(name)
    data = Stream(task, 0, m.hp.batch_size)
    m.prepare(data)
    list(m.train(data))
    return m


def test_mean_image_is_the_mean_of_the_targets():
    batches = [pair(3, seed) for seed in range(5)]
    m = make("mean_image[steps=4]")
    data = iter(batches)
    m.prepare(data)
    list(m.train(data))
    expected = torch.cat([b.target for b in batches]).mean(0)
    torch.testing.assert_close(m.restore(batches[0]), expected.expand(3, -1, -1, -1))
    assert m.restore(Batch(torch.rand(2, 3, 64, 48))).shape == (2, 3, 64, 48)


def test_mean_image_learns_how_large_a_target_is():
    m = make("mean_image[steps=0]")
    m.prepare(iter([Batch(torch.rand(2, 3, 8, 8), torch.rand(2, 1, 16, 16))]))
    assert m.restore(Batch(torch.rand(3, 3, 10, 12))).shape == (3, 1, 20, 24)


def test_colour_transfer_carries_mean_and_covariance_over():
    rng = torch.Generator().manual_seed(0)
    mix = torch.tensor([[0.05, 0.0, 0.01], [0.02, 0.03, 0.0], [0.0, 0.01, 0.04]])
    x = 0.4 + 0.05 * torch.randn(2, 3, 40, 40, generator=rng)
    y = 0.55 + torch.einsum("ij,njhw->nihw", mix, torch.randn(2, 3, 40, 40, generator=rng))
    m = make("colour_transfer[steps=0]")
    m.prepare(iter([Batch(x, y)]))
    made = m.restore(Batch(x)).transpose(0, 1).flatten(1)
    truth = y.transpose(0, 1).flatten(1)
    torch.testing.assert_close(made.mean(1), truth.mean(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.cov(), truth.cov(), atol=2e-6, rtol=1e-2)


def test_colour_transfer_of_a_domain_to_itself_is_the_identity():
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    m = make("colour_transfer[steps=0]")
    m.prepare(iter([Batch(x, x)]))
    torch.testing.assert_close(m.restore(Batch(x)), x)


def test_colour_transfer_survives_gray():
    gray = torch.rand(2, 1, 16, 16).expand(-1, 3, -1, -1)
    m = make("colour_transfer[steps=0]")
    m.prepare(iter([Batch(gray, torch.rand(2, 3, 16, 16))]))
    assert m.restore(Batch(gray)).isfinite().all()


def test_baselines_train_on_the_task():
    task = Translate(crop=16, tile=32)
    m = trained("mean_image[steps=3,batch_size=2]", task)
    assert m.t == 3
    assert m.restore(task.batch(2, torch.Generator().manual_seed(0))).shape == (2, 3, 16, 16)
