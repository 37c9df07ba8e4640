"""Super-resolution: sizes of the networks, losses by hand, colours, the two stages of SRGAN."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.method import Batch
from bench.operators.resize import enlarge
from methods.networks.srresnet import Discriminator, Generator
from methods.restoration import _shallow

SMALL = {
    "srcnn": "srcnn[n1=8,n2=4,std=0.1,steps=40,optimizer='adam[lr=5e-3]']",
    "espcn": "espcn[n1=8,n2=4,steps=40,optimizer='adam[lr=2e-2]']",
    "srresnet": "srresnet[width=8,blocks=1,steps=40,optimizer='adam[lr=5e-3]']",
    "srgan": "srgan[width=8,ndf=4,blocks=1,content=mse,pretrain=0.5,steps=40,optimizer='adam[lr=5e-3]']",
}


def make(spec, scale=4, crop=32):
    torch.manual_seed(0)
    return registry.make("method", spec)(SimpleNamespace(scale=scale, crop=crop))


def pair(scale=4, crop=32):
    large = F.interpolate(torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)), size=crop, mode="bilinear")
    return Batch(F.avg_pool2d(large, scale), large)


def count(net):
    return sum(p.numel() for p in net.parameters())


# -- networks
@pytest.mark.parametrize(("scale", "expected"), [(4, 1_549_462), (2, 1_401_749)])
def test_srresnet_has_the_published_size(scale, expected):
    assert count(Generator(scale)) == count(make("srresnet", scale).G) == expected


def test_discriminator_has_the_published_size():
    assert count(Discriminator(96)) == 23_565_505


@pytest.mark.parametrize("crop", [24, 32, 50, 96])
def test_discriminator_takes_the_crops_it_was_made_for(crop):
    assert Discriminator(crop, 4)(torch.rand(3, 3, crop, crop)).shape == (3,)


def test_small_networks_have_their_papers_sizes():
    """SRCNN: 8,032 weights, 57,184 of the 9-5-5 one; ESPCN at factor 3 is 2.5 times smaller than the latter (its Sec. 3.5)."""
    srcnn, large, espcn = (make(spec, 3).G for spec in ("srcnn", "srcnn[f2=5]", "espcn"))
    weights = [sum(p.numel() for p in net.parameters() if p.dim() > 1) for net in (srcnn, large, espcn)]
    assert weights[:2] == [8_032, 57_184]
    assert weights[1] / weights[2] == pytest.approx(2.5, abs=0.05)


def test_sub_pixels_go_row_by_row():
    net = make("espcn[n1=2,n2=2]", 3).G
    nn.init.zeros_(net[1].weight)
    net[1].bias.data = torch.arange(9.0)
    y = net(torch.rand(1, 1, 4, 5))
    assert y.shape == (1, 1, 12, 15)
    assert all(y[0, 0, 3 * h + i, 3 * w + j] == 3 * i + j for h in range(4) for w in range(5) for i in range(3) for j in range(3))


# -- every trained method
@pytest.mark.parametrize("name", SMALL)
def test_overfits_one_pair(name):
    m, batch = make(SMALL[name]), pair()
    before = (m.restore(batch) - batch.target).square().mean()
    logs = list(m.train(itertools.repeat(batch)))
    assert m.t == len(logs) == 40
    assert all(torch.isfinite(v) and not v.requires_grad for log in logs for v in log.values())
    assert (m.restore(batch) - batch.target).square().mean() < 0.7 * before


@pytest.mark.parametrize("name", [*SMALL, "bicubic", "nearest", "lanczos"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarges_any_size_into_the_unit_range(name, scale):
    y = torch.rand(2, 3, 7, 10, generator=torch.Generator().manual_seed(1))
    x = make(SMALL.get(name, name), scale, 24).restore(Batch(y))
    assert x.shape == (2, 3, 7 * scale, 10 * scale)
    assert 0 <= x.min() <= x.max() <= 1
    assert x.dtype == torch.float32
    assert not x.requires_grad


def test_nearest_makes_squares():
    y = torch.rand(1, 3, 4, 5)
    assert torch.equal(make("nearest", 3).restore(Batch(y)), F.interpolate(y, scale_factor=3))


# -- luma
def test_ycbcr_is_that_of_scikit_image():
    from skimage.color import rgb2ycbcr

    rgb = torch.rand(1, 3, 9, 7)
    theirs = rgb2ycbcr(rgb[0].permute(1, 2, 0).double().numpy()) / 255
    assert np.allclose(_shallow.to_ycbcr(rgb)[0].permute(1, 2, 0).numpy(), theirs, atol=1e-5)


def test_colours_are_bicubic_and_luma_is_the_networks():
    small = torch.rand(2, 3, 6, 5) * 0.4 + 0.3
    assert torch.allclose(_shallow.coloured(_shallow.luma(enlarge(small, 3)), small, 3), enlarge(small, 3), atol=1e-5)
    brighter = _shallow.coloured(_shallow.luma(enlarge(small, 3)) + 0.05, small, 3) - enlarge(small, 3)
    assert torch.allclose(brighter, torch.tensor(0.05 * 255 / 219), atol=1e-5)  # 219 levels of luma are the whole range of gray


@pytest.mark.parametrize("name", ["srcnn", "espcn"])
def test_the_last_layer_learns_ten_times_slower(name):
    m = make(f"{name}[schedule=linear_decay,steps=10,optimizer='sgd[lr=0.1]']")
    assert [g["lr"] for g in m.opt.param_groups] == pytest.approx([0.1, 0.01])
    assert sum(p.numel() for g in m.opt.param_groups for p in g["params"]) == count(m.G)
    m.t = 8
    m.anneal()
    assert [g["lr"] for g in m.opt.param_groups] == pytest.approx([0.04, 0.004])


def test_srcnn_loses_only_where_no_filter_reaches_over_the_edge():
    """The same as convolutions without padding; the sum over the paper's 21 x 21 pixels of a 33 x 33 crop."""
    m, batch = make("srcnn[n1=8,n2=4,std=0.1]", 3, 33), pair(3, 33)
    y = _shallow.luma(enlarge(batch.observed, 3))
    first, second, last = (layer for layer in m.G.modules() if isinstance(layer, nn.Conv2d))
    for layer in (first, second):
        y = F.conv2d(y, layer.weight, layer.bias).relu()
    y = F.conv2d(y, last.weight, last.bias)
    assert y.shape[-2:] == (21, 21)
    expected = (y - _shallow.luma(batch.target)[..., 6:-6, 6:-6]).square().sum((1, 2, 3)).mean()
    assert m.loss(batch).item() == pytest.approx(expected.item(), rel=1e-4)


def test_srcnn_refuses_crops_that_are_all_edge():
    with pytest.raises(UsageError, match="crop of 12"):
        make("srcnn", 4, 12)


# -- SRGAN
def test_srgan_starts_as_srresnet_and_wakes_its_critic_afterwards():
    m, batch = make(SMALL["srgan"]), pair()
    asleep = [p.clone() for p in m.D.parameters()]
    logs = []
    for log in m.train(itertools.repeat(batch)):
        logs.append(log)
        if m.t == 20:
            assert all(torch.equal(p, q) for p, q in zip(m.D.parameters(), asleep))
    assert [*map(set, logs)] == [{"loss"}] * 20 + [{"critic", "generator"}] * 20
    assert not any(torch.equal(p, q) for p, q in zip(m.D.parameters(), asleep))
    alone = make(SMALL["srresnet"])
    alone.G.load_state_dict(make(SMALL["srgan"]).G.state_dict())
    assert logs[0]["loss"].item() == pytest.approx(alone.loss(batch).item())


def test_srgans_losses_by_hand():
    m, batch = make(SMALL["srgan"]), pair()
    m.D.eval()
    y, x = m.fake(batch), 2 * batch.target - 1
    real, fake = m.D(x).sigmoid(), m.D(y).sigmoid()
    assert m.generator_loss(batch, y).item() == pytest.approx(((y - x).square().mean() - 1e-3 * fake.log().mean()).item(), rel=1e-5)
    assert m.critic_loss(batch, y).item() == pytest.approx((-real.log().mean() - (1 - fake).log().mean()).item(), rel=1e-5)


def test_srgans_budget_is_the_papers():
    m = make("srgan[content=mse]", 4, 96)
    assert round(m.hp.pretrain * m.hp.steps) == 1_000_000
    rates = []
    for m.t in (0, 999_999, 1_099_999, 1_100_001, 1_199_999):
        m.anneal()
        rates.append(m.opt_g.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-4, 1e-4, 1e-4, 1e-5, 1e-5])


def test_pretrain_is_a_share():
    with pytest.raises(ValueError, match=r"share in \[0, 1\], not 2"):
        make("srgan[pretrain=2,content=mse]")


# -- SRGAN's content losses
@pytest.mark.parametrize(("name", "convolutions", "pools", "channels"), [("vgg22", 4, 1, 128), ("vgg54", 16, 4, 512)])
def test_vgg_losses_are_taken_after_the_relu_of_their_layer(name, convolutions, pools, channels):
    loss = registry.make("content", f"{name}[net=random_vgg19]")
    kinds = [type(layer) for layer in loss._features]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.MaxPool2d), kinds[-1]) == (convolutions, pools, nn.ReLU)
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert loss.features(a).shape[1] == channels
    expected = ((loss.features(a) - loss.features(b)) / 12.75).square().mean()
    assert loss(a, b).item() == pytest.approx(expected.item(), rel=1e-5)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(loss.features(a), loss._features(((a + 1) / 2 - mean) / std), atol=1e-4)


def test_srgan_without_weights_says_what_is_missing(monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    with pytest.raises(Unavailable, match="vgg19"):
        make("srgan[width=4,ndf=4,blocks=1]")
