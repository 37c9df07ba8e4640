"""U-Net, DeblurGAN and its Keras cousin at toy size."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from bench import registry
from bench.errors import UsageError
from bench.method import Batch
from methods.restoration.keras_deblurgan import KerasDeblurGAN

TASK = SimpleNamespace(crop=32, channels=3)
TOY = {
    "unet": "unet[width=8,steps=40,optimizer='adam[lr=1e-2]']",
    "deblurgan": "deblurgan[ngf=4,ndf=4,blocks=1,content=l1,dropout=0,norm=identity,init=default,steps=40,optimizer='adam[lr=5e-3]']",
    "keras_deblurgan": "keras_deblurgan[ngf=4,ndf=4,blocks=1,content=l1,dropout=0,steps=40,optimizer='adam[lr=5e-3]']",
}


def _make(spec):
    torch.manual_seed(0)
    return registry.make("method", spec)(TASK)


def _pair():
    rng = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8, generator=rng), scale_factor=4)
    return Batch(torch.nn.functional.avg_pool2d(x, 5, 1, 2), x)


@pytest.mark.parametrize("name", TOY)
def test_overfits_one_pair(name):
    m, pair = _make(TOY[name]), _pair()
    before = (m.restore(pair) - pair.target).abs().mean()
    logs = list(m.train(itertools.repeat(pair)))
    assert m.t == len(logs) == 40
    assert all(torch.isfinite(v) and not v.requires_grad for log in logs for v in log.values())
    assert (m.restore(pair) - pair.target).abs().mean() < 0.9 * before


@pytest.mark.parametrize("name", TOY)
@pytest.mark.parametrize("size", [(32, 32), (33, 46), (17, 24)])
def test_restores_any_size_into_the_unit_range(name, size):
    y = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    x = _make(TOY[name]).restore(Batch(y))
    assert x.shape == y.shape
    assert 0 <= x.min() <= x.max() <= 1
    assert not x.requires_grad


def test_an_untrained_unet_is_the_identity():
    pair = _pair()
    assert torch.allclose(_make("unet").restore(pair), pair.observed, atol=1e-6)


@pytest.mark.parametrize(("mc_dropout", "same"), [(False, True), (True, False)])
def test_monte_carlo_dropout_stays_on_when_restoring(mc_dropout, same):
    m, pair = _make(f"deblurgan[ngf=4,ndf=4,blocks=1,content=l1,mc_dropout={mc_dropout}]"), _pair()
    m.G.eval()
    assert torch.equal(m.restore(pair), m.restore(pair)) == same


def test_deblurgan_weighs_game_and_content():
    m, pair = _make(TOY["deblurgan"]), _pair()
    y = m.fake(pair)
    expected = -m.D(y).mean() + 100 * (y - (2 * pair.target - 1)).abs().mean()
    assert m.generator_loss(pair, y).item() == pytest.approx(expected.item(), rel=1e-5)


def test_deblurgan_clips_its_critic_under_wgan():
    m = _make(TOY["deblurgan"].replace("content=l1", "content=l1,adversarial=wgan"))
    next(m.train(itertools.repeat(_pair())))
    assert max(p.abs().max().item() for p in m.D.parameters()) <= 0.01 + 1e-9


def test_deblurgan_follows_its_schedule():
    m = _make(TOY["deblurgan"])
    rates = [m.opt_g.param_groups[0]["lr"] / 5e-3 for _ in m.train(itertools.repeat(_pair()))]
    assert rates[:21] == [1.0] * 21
    assert rates[30] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(1 / 20)


def test_keras_losses_by_hand():
    m, pair = _make(TOY["keras_deblurgan"]), _pair()
    m.D.eval()
    y = m.fake(pair)
    x = 2 * pair.target - 1
    assert m.critic_loss(pair, y).item() == pytest.approx(((m.D(x).mean() - m.D(y).mean()) / 2).item())
    assert m.generator_loss(pair, y).item() == pytest.approx((m.D(y).mean() + 100 * (y - x).abs().mean()).item(), rel=1e-6)
    assert 0 < m.D(x).min() < m.D(x).max() < 1


def test_keras_output_is_the_mean_of_input_and_tanh():
    m, x = _make(TOY["keras_deblurgan"]), torch.rand(1, 3, 16, 16) * 2 - 1
    m.G.eval()
    assert torch.equal(m.output(x), (x + m.G(x)) / 2)


@pytest.mark.parametrize("name", TOY)
def test_only_tensors_and_numbers_are_state(name):
    state = _make(TOY[name]).state()
    assert state.keys() == {"t", "G", *(("opt",) if name == "unet" else ("D", "opt_g", "opt_d"))}


def test_keras_critic_is_made_for_the_crop():
    assert KerasDeblurGAN(SimpleNamespace(crop=64, channels=3), ngf=4, ndf=4, blocks=1, content="l1").D[-4].in_features == 16


def test_keras_critic_refuses_crops_it_cannot_halve():
    with pytest.raises(UsageError, match="16 pixels"):
        KerasDeblurGAN(SimpleNamespace(crop=8, channels=3), ngf=4, ndf=4, blocks=1, content="l1")
