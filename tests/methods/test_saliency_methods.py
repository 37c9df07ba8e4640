"""SalGAN's layers, losses and stages; DSAL-GAN's ablations; classical models on scenes with a known answer."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import nn

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.external import weights
from bench.method import Batch
from methods.saliency._maps import smooth, stretched
from methods.saliency._networks import VGG16, EncoderDecoder, MapCritic, small
from methods.saliency.spectral_residual import _residual

TASK = SimpleNamespace(size=(32, 48))
TOY = {
    "salgan": "salgan[encoder=small,width=8,ndf=8,pretrain=1.0,steps=40,optimizer_pretrain='adam[lr=5e-3]']",
    "dsal_gan": "dsal_gan[encoder=small,width=8,denoiser_width=4,ndf=8,steps=40,optimizer='adam[lr=5e-3]']",
    "saliency_unet": "saliency_unet[width=8,steps=40,optimizer='adam[lr=1e-2]']",
}
LEARNED = [*TOY]
CLASSICAL = ["brightness", "centre_prior", "spectral_residual", "contrast"]


def _make(spec, task=TASK):
    torch.manual_seed(0)
    return registry.make("method", spec)(task)


def _batch(n=2, size=(32, 48)):
    """Dim noise with a bright square, which is the target."""
    rng = torch.Generator().manual_seed(0)
    clean, target = torch.rand(n, 3, *size, generator=rng) / 4, torch.zeros(n, 1, *size)
    for i in range(n):
        target[i, :, 8:16, 8 * i + 8 : 8 * i + 20] = 1
    clean = (clean + target / 2).clamp(0, 1)
    return Batch((clean + 0.1 * torch.randn(clean.shape, generator=rng)).clamp(0, 1), target, sigma=0.1, clean=clean)


def _parameters(net):
    return sum(p.numel() for p in net.parameters())


# all of them


@pytest.mark.parametrize("spec", [*TOY.values(), *CLASSICAL])
@pytest.mark.parametrize("size", [(32, 48), (33, 46), (40, 25)])
def test_a_map_of_any_size_in_the_unit_range(spec, size):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    y = _make(spec).restore(Batch(x))
    assert y.shape == (2, 1, *size)
    assert y.dtype == torch.float32
    assert 0 <= y.min() <= y.max() <= 1
    assert not y.requires_grad


@pytest.mark.parametrize("spec", CLASSICAL)
def test_models_without_training_judge_each_picture_alone(spec):
    x, m = _batch().observed, _make(spec)
    together, apart = m.restore(Batch(x)), torch.cat([m.restore(Batch(x[i : i + 1])) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    assert m.restore(Batch(torch.full((1, 3, 32, 48), 0.5))).isfinite().all()


@pytest.mark.parametrize("name", LEARNED)
def test_overfits_one_batch(name):
    m, batch = _make(TOY[name]), _batch()
    before = (m.restore(batch) - batch.target).abs().mean()
    logs = list(m.train(itertools.repeat(batch)))
    assert m.t == len(logs) == 40
    assert all(torch.isfinite(v) and not v.requires_grad for log in logs for v in log.values())
    assert (m.restore(batch) - batch.target).abs().mean() < 0.5 * before


# SalGAN


def test_the_generator_has_the_papers_size():
    with torch.device("meta"):
        net = EncoderDecoder()
    assert _parameters(net.features) == 14_714_688
    assert _parameters(net.decoder) + _parameters(net.leave) == 17_072_321
    assert _parameters(net) == 31_787_009
    assert net.multiple == 16


def test_the_encoder_is_torchvisions_vgg16_and_its_first_groups_stay(monkeypatch):
    from torchvision.models import vgg16

    with torch.device("meta"):
        reference = vgg16().features
    net = EncoderDecoder()
    assert [type(a) for a in net.features] == [type(b) for b in reference[:30]]
    state = {f"features.{k}": torch.full(v.shape, 0.25) for k, v in reference.state_dict().items()}
    monkeypatch.setattr(weights, "load_state_dict", lambda name: state if name == "vgg16" else None)
    net.load_vgg16()
    assert all((p == 0.25).all() for p in net.features.parameters())
    assert sum(p.numel() for p in net.parameters() if not p.requires_grad) == 1_735_488
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 30_051_521


@pytest.mark.parametrize(("first_pool", "count"), [(4, 1_359_296), (2, 5_045_696)])
def test_the_discriminator_has_the_codes_or_the_papers_size(first_pool, count):
    with torch.device("meta"):
        net = MapCritic((192, 256), first_pool=first_pool)
    assert _parameters(net) == count
    assert net(torch.zeros(3, 4, 192, 256, device="meta")).shape == (3,)


def test_the_small_encoder_mirrors_like_the_large_one():
    shapes = []
    net = EncoderDecoder(small(4))
    for layer in [*net.features, *net.decoder]:
        layer.register_forward_hook(lambda _, __, y: shapes.append(y.shape[-1]))
    assert net(torch.zeros(1, 3, 16, 32)).shape == (1, 1, 16, 32)
    assert min(shapes) == 4
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.features) == sum(isinstance(layer, nn.Conv2d) for layer in net.decoder) == 6
    assert sum(n for n, _ in VGG16) == 13


def test_vgg16_wants_its_weights_and_keeps_them(monkeypatch):
    def missing(name):
        raise Unavailable(f"weights {name} not found")

    monkeypatch.setattr(weights, "load_state_dict", missing)
    for name in ("salgan", "dsal_gan"):
        with pytest.raises(Unavailable, match="vgg16"):
            _make(name)
        with pytest.raises(ValueError, match="would overwrite"):
            _make(f"{name}[init=he]")


def test_a_critic_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="stride of 16"):
        MapCritic((12, 48))


def test_salgans_losses_by_hand():
    m, batch = _make("salgan[encoder=small,width=4,ndf=4]"), _batch()
    y = m.restore(batch)
    with torch.no_grad():
        pooled, truth = (torch.nn.functional.interpolate(v, size=(8, 12), mode="area") for v in (y, batch.target))
        bce = -(truth * pooled.log() + (1 - truth) * (1 - pooled).log()).mean()
        real = m.D(torch.cat([batch.observed, batch.target], 1)).sigmoid()
        fake = m.D(torch.cat([batch.observed, y], 1)).sigmoid()
        assert m.content_loss(batch).item() == pytest.approx(bce.item(), rel=1e-5)
        assert m.generator_loss(batch).item() == pytest.approx((0.05 * bce - fake.log().mean()).item(), rel=1e-5)
        assert m.critic_loss(batch).item() == pytest.approx(-(real.log() + (1 - fake).log()).mean().item(), rel=1e-5)


def test_salgan_regresses_first_and_plays_then():
    m = _make("salgan[encoder=small,width=4,ndf=4,pretrain=0.6,steps=5,optimizer='adam[lr=1e-3]']")
    critic = [p.clone() for p in m.D.parameters()]
    keys, still = [], []
    for log in m.train(itertools.repeat(_batch())):
        keys.append(sorted(log))
        still.append(all(torch.equal(p, q) for p, q in zip(critic, m.D.parameters())))
    assert keys == [["loss"]] * 3 + [["critic", "generator"]] * 2
    assert still == [True] * 3 + [False] * 2


# DSAL-GAN


@pytest.mark.parametrize("ablation", ["noisy", "separate", "joint"])
def test_who_learns_from_the_map(ablation):
    """Only joint training tells the denoiser about the map; without a denoiser there is none to tell."""
    spec = f"dsal_gan[encoder=small,width=4,denoiser_width=4,ndf=4,ablation={ablation},denoise_weight=0,adversarial_weight=0]"
    m, batch = _make(spec), _batch()
    m.generator_loss(batch).backward()
    learned = any(p.grad is not None and p.grad.abs().sum() > 0 for p in m.G1.parameters())
    assert learned == (ablation == "joint")
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in m.G2.parameters())
    assert ("picture" in m.D) == (len(list(m.G1.parameters())) > 0) == (ablation != "noisy")


def test_dsal_gans_losses_by_hand():
    m, batch = (
        _make("dsal_gan[encoder=small,width=4,denoiser_width=4,ndf=4,denoise_weight=2.0,adversarial_weight=0.5,cycle_weight=0.25]"),
        _batch(),
    )
    with torch.no_grad():
        x = m.G1(batch.observed)
        y, ideal = m.G2(x).sigmoid(), m.G2(batch.clean).sigmoid()
        bce = -(batch.target * y.log() + (1 - batch.target) * (1 - y).log()).mean()
        game = -m.D["map"](y).sigmoid().log().mean() - m.D["picture"](x).sigmoid().log().mean()
        expected = bce + 0.5 * game + 2 * (x - batch.clean).square().mean() + 0.25 * (y - ideal).abs().mean()
        assert m.generator_loss(batch).item() == pytest.approx(expected.item(), rel=1e-4)
        pairs = (("map", batch.target, y), ("picture", batch.clean, x))
        critic = sum(-(m.D[k](real).sigmoid().log().mean() + (1 - m.D[k](fake).sigmoid()).log().mean()) for k, real, fake in pairs)
        assert m.critic_loss(batch).item() == pytest.approx(critic.item(), rel=1e-4)


# classical models


def test_the_centre_prior_is_a_gaussian_stretched_to_the_picture():
    y = _make("centre_prior[sigma=0.2]").restore(Batch(torch.zeros(1, 3, 41, 81)))[0, 0]
    assert y[20, 40] == y.max() == 1
    at = math.exp(-((10 / 41) ** 2 + (20 / 81) ** 2) / (2 * 0.2**2))
    assert y[30, 60].item() == pytest.approx(at, rel=1e-5)
    torch.testing.assert_close(y, y.flip(0))


def test_brightness_hands_a_map_on():
    x = torch.rand(2, 1, 8, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_make("brightness").restore(Batch(x.expand(-1, 3, -1, -1))), x)


def test_the_spectral_residual_is_numpys():
    x = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = np.fft.fft2(x[0, 0].numpy())
    log = np.log(np.abs(f))
    residual = log - scipy.ndimage.uniform_filter(log, 3, mode="wrap")
    expected = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(f)))) ** 2
    np.testing.assert_allclose(_residual(x)[0, 0].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_smoothing_is_scipys():
    x = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = scipy.ndimage.gaussian_filter(x[0, 0].numpy(), 2.0, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(smooth(x, 2.0)[0, 0].numpy(), expected, atol=1e-12)
    assert stretched(x).amin() == 0
    assert stretched(x).amax() == 1
    assert stretched(torch.ones(1, 1, 3, 3)).abs().max() == 0


def _display(odd):
    """A lattice of red dots (or short bars) on gray, of which the one at row 1, column 4 is odd."""
    x = torch.full((3, 96, 144), 0.5)
    for row, column in itertools.product(range(4), range(6)):
        y0, x0, special = 24 * row + 8, 24 * column + 8, (row, column) == (1, 4)
        colour = torch.tensor([0.1, 0.7, 0.1] if special and odd == "colour" else [0.7, 0.1, 0.1]).view(3, 1, 1)
        grown = 4 if special and odd == "size" else 0
        tall, wide = (3, 9) if odd == "orientation" and not special else (9, 3) if odd == "orientation" else (6, 6)
        x[:, y0 - grown : y0 + tall + grown, x0 - grown : x0 + wide + grown] = colour
    return x[None]


@pytest.mark.parametrize("odd", ["colour", "orientation", "size"])
def test_contrast_finds_the_odd_one_out(odd):
    y = _make("contrast").restore(Batch(_display(odd)))[0, 0]
    row, column = divmod(int(y.argmax()), 144)
    assert (row // 24, column // 24) == (1, 4)


@pytest.mark.parametrize("name", ["spectral_residual", "contrast"])
def test_a_lone_blob_is_salient(name):
    x = torch.full((1, 3, 96, 128), 0.4)
    x += 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    x[..., 60:72, 90:102] = 0.9
    y = _make(name).restore(Batch(x.clamp(0, 1)))[0, 0]
    row, column = divmod(int(y.argmax()), 128)
    assert 54 <= row <= 78
    assert 84 <= column <= 108


def test_unknown_encoders_are_named():
    with pytest.raises(UsageError, match="encoder"):
        _make("salgan[encoder=resnet]")
