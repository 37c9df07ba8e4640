"""Shared networks: published parameter counts, shapes, receptive fields, identities."""

import pytest
import torch
from torch import nn

from methods.networks.image_nets import NORMS, Dropout, PatchGAN, ResNetGenerator, UNet, padded
from methods.restoration import keras_deblurgan


def _count(net: nn.Module, buffers: bool = False) -> int:
    tensors = [*net.parameters(), *([b for b in net.buffers() if b.is_floating_point()] if buffers else [])]
    return sum(t.numel() for t in tensors)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 11_378_179),
        ({"blocks": 6}, 7_837_699),
        ({"single_conv": True}, 6_067_459),
        ({"single_conv": True, "dropout": 0.5}, 6_067_459),
        ({"residual": True, "dropout": 0.5}, 11_378_179),
    ],
)
def test_resnet_generator_has_the_published_size(options, expected):
    with torch.device("meta"):
        assert _count(ResNetGenerator(**options)) == expected


@pytest.mark.parametrize(("n_layers", "expected"), [(1, 139_585), (2, 666_433), (3, 2_768_705), (4, 6_964_033), (5, 11_159_361)])
def test_conditional_patchgan_has_pix2pix_sizes(n_layers, expected):
    with torch.device("meta"):
        assert _count(PatchGAN(6, n_layers=n_layers, norm=NORMS["batch"], bias=False)) == expected


def test_unconditional_patchgan_has_cyclegans_size():
    with torch.device("meta"):
        assert _count(PatchGAN()) == 2_764_737


def test_keras_networks_have_the_published_sizes_with_running_statistics():
    with torch.device("meta"):
        generator = ResNetGenerator(norm=keras_deblurgan._BATCH_NORM, upsample=keras_deblurgan._nearest)
        critic = keras_deblurgan._Critic(3, 64, 256)
        assert (_count(generator, buffers=True), _count(generator, buffers=True) - _count(generator)) == (11_399_171, 10_496)
        assert _count(critic, buffers=True) == 3_098_370
        assert critic(torch.empty(2, 3, 256, 256)).shape == (2, 1)


@pytest.mark.parametrize("crop", [32, 64, 100])
def test_keras_critic_follows_the_crop(crop):
    with torch.device("meta"):
        assert keras_deblurgan._Critic(3, 4, crop)(torch.empty(2, 3, crop, crop)).shape == (2, 1)


def test_unet_is_of_the_size_of_the_study():
    with torch.device("meta"):
        assert 470_000 < _count(UNet(width=24)) < 490_000


@pytest.mark.parametrize(("padding", "side"), [(1, 30), (2, 35)])
def test_patchgan_maps_at_256(padding, side):
    with torch.device("meta"):
        assert PatchGAN(padding=padding)(torch.empty(1, 3, 256, 256)).shape == (1, 1, side, side)


@pytest.mark.parametrize(("n_layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_patchgan_receptive_field_by_gradient_support(n_layers, field):
    critic = PatchGAN(1, ndf=2, n_layers=n_layers, norm=NORMS["identity"])
    for p in critic.parameters():
        nn.init.constant_(p, 1.0)
    x = torch.ones(1, 1, 320, 320, requires_grad=True)
    scores = critic(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows.max() - rows.min() + 1 == field


def test_residual_output_is_clamped_input_plus_tanh():
    torch.manual_seed(0)
    net = ResNetGenerator(ngf=2, blocks=1, residual=True)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    nn.init.constant_(net.net[-2].bias, 3.0)  # pushes far outside
    y = net(x)
    assert torch.equal(y, (x + net.net(x)).clamp(-1, 1))
    assert y.max() == 1
    assert y.min() >= -1


def test_unet_starts_as_the_identity_and_leaves_it():
    net, x = UNet(width=4), torch.randn(2, 3, 16, 24)
    assert torch.equal(net(x), x)
    nn.init.ones_(net.leave.bias)
    assert torch.equal(net(x), x + 1)


@pytest.mark.parametrize(("h", "w"), [(16, 16), (17, 31), (9, 24), (3, 24), (4, 4)])
def test_padded_keeps_the_size_and_shows_the_net_multiples(h, w):
    seen = []

    def net(x):
        seen.append(x.shape[-2:])
        return x

    x = torch.rand(1, 3, h, w)
    assert torch.equal(padded(net, x, 8), x)
    assert all(s % 8 == 0 and s - t < 8 for s, t in zip(seen[0], (h, w)))


def test_instance_norm_has_neither_parameters_nor_running_statistics():
    norm = NORMS["instance"](4)
    assert not norm.state_dict()
    x = torch.randn(2, 4, 8, 8) * 3 + 5
    assert torch.equal(norm.train()(x), norm.eval()(x))


def test_dropout_is_off_in_evaluation_unless_always():
    torch.manual_seed(0)
    x = torch.ones(1, 1, 64, 64)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert set(Dropout(0.5, always=True).eval()(x).unique().tolist()) == {0.0, 2.0}
