"""Methods of low-dose CT: sizes of networks, the ablations, reconstruction from sinograms."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import iradon_sart

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.method import Batch
from bench.operators import ct
from bench.spec import Spec, parse
from datasets.degrade.low_dose import LowDose
from datasets.ellipses import Ellipses
from methods.classical import tv_ct
from methods.classical.sart import _order
from methods.restoration import wgan_vgg
from methods.restoration.red_cnn import _Network

TABLE_1 = {
    "wgan_mse": "wgan_vgg[content=mse]",
    "cnn_mse": "wgan_vgg[adversarial='',content=mse]",
    "wgan": "wgan_vgg[content='']",
    "gan": "wgan_vgg[adversarial=saturating,content='']",
    "wgan_vgg": "wgan_vgg[content='perceptual[net=random_vgg19,layer=2]']",
    "cnn_vgg": "wgan_vgg[adversarial='',content='perceptual[net=random_vgg19,layer=2]']",
}


def count(network):
    return sum(p.numel() for p in network.parameters())


def task_of(crop=32, channels=1):
    return SimpleNamespace(crop=crop, channels=channels)


def small(spec, **options):
    torch.manual_seed(0)
    parsed = parse(spec)
    size = {"wgan_vgg": {"width": 8, "ndf": 4, "hidden": 16, "last_relu": False}, "red_cnn": {"width": 8}}[parsed.name]
    return registry.make("method", Spec(parsed.name, {**size, **parsed.options, **options}))(task_of())


@pytest.fixture(scope="module")
def pair():
    """Four noisy crops."""
    rng = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(4, 1, 8, 8, generator=rng), scale_factor=4)
    return Batch((x + 0.1 * torch.randn(x.shape, generator=rng)).clamp(0, 1), x)


@pytest.fixture(scope="module")
def scan():
    """Two phantoms, few photons."""
    dose = LowDose(photons=2e4, views=60)
    x = torch.stack([p.target for p in Ellipses(size=64, test=2).open(None, "test")])
    x = ct.picture(ct.attenuation(x) * ct.inscribed_disc(64))
    sinogram = dose.scan(x, torch.Generator().manual_seed(0))
    low = dose.reconstruct(sinogram, 64)
    return SimpleNamespace(scanner=dose.scanner, scans=lambda n: Batch(low, x, sinogram=sinogram)), Batch(low, x, sinogram=sinogram)


def mse(a, b):
    return (a - b).square().mean().item()


# -- networks
def test_sizes_of_the_papers_networks():
    generator = wgan_vgg._generator(1, 32, last_relu=True)
    assert count(generator) == 9 * 32 + 6 * 9 * 32 * 32 + 9 * 32 == 55_872
    assert count(wgan_vgg._critic(1, 64, 1024, 64)) == 17_923_521
    assert count(_Network(1, 96, 5)) == 1_848_865
    assert generator(torch.rand(2, 1, 80, 80)).shape == (2, 1, 64, 64)
    assert isinstance(generator[-1], torch.nn.ReLU)
    assert isinstance(wgan_vgg._generator(1, 32, last_relu=False)[-1], torch.nn.Conv2d)


@pytest.mark.parametrize("side", [8, 40, 41, 64])
def test_the_critic_fits_its_crops(side):
    critic = wgan_vgg._critic(2, 4, 8, side)
    assert critic(torch.rand(3, 2, side, side)).shape == (3, 1)
    assert [layer.stride[0] for layer in critic if isinstance(layer, torch.nn.Conv2d)] == [1, 2, 1, 2, 1, 2]


def test_a_pixel_depends_on_17_and_41_pixels():
    for net, reach in ((wgan_vgg._generator(1, 4, last_relu=False), 8), (_Network(1, 4, 5), 20)):
        for p in net.parameters():
            torch.nn.init.constant_(p, 0.01)
        x = torch.ones(1, 1, 96, 96, requires_grad=True)
        y = net(x)
        (g,) = torch.autograd.grad(y[0, 0, y.shape[2] // 2, y.shape[3] // 2], x)
        seen = g[0, 0].nonzero()
        assert (seen.max(0).values - seen.min(0).values).tolist() == [2 * reach] * 2


def test_red_cnn_without_its_convolutions_is_the_identity():
    net = _Network(1, 4, 5)
    for p in net.parameters():
        torch.nn.init.zeros_(p)
    x = torch.rand(1, 1, 30, 34)
    assert torch.equal(net(x), x)


def test_red_cnn_shortcuts_leave_from_the_second_and_fourth_convolution():
    """With every deconvolution but one at zero, what comes out is the input plus that layer's view of one shortcut."""
    torch.manual_seed(0)
    net, x = _Network(1, 3, 5), torch.rand(1, 1, 40, 40)
    kept = [x]
    for conv in net.down:
        kept.append(conv(kept[-1]).relu())
    for p in itertools.chain(*(layer.parameters() for layer in (net.up[0], net.up[1], net.up[2]))):
        torch.nn.init.zeros_(p)
    expected = (net.up[4](net.up[3](kept[2].relu()).relu()) + x).relu()  # the shortcut from convolution 2 joins after up 3
    torch.testing.assert_close(net(x), expected)


# -- training
@pytest.mark.parametrize("name", TABLE_1)
def test_every_row_of_table_1_trains(name, pair):
    m = small(TABLE_1[name], steps=4, optimizer="adam[lr=1e-3]", n_critic=2)
    before = [p.clone() for p in m.G.parameters()]
    logs = list(m.train(itertools.repeat(pair)))
    assert m.t == 4
    assert all(torch.isfinite(v) and not v.requires_grad for log in logs for v in log.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, m.G.parameters(), strict=True))
    assert ("critic" in logs[0]) == hasattr(m, "D") == (not name.startswith("cnn"))


@pytest.mark.parametrize("spec", ["red_cnn[optimizer='adam[lr=3e-3]']", "wgan_vgg[adversarial='',content=mse,optimizer='adam[lr=1e-2]']"])
def test_regression_learns(spec, pair):
    m = small(spec, steps=60)
    before = mse(m.restore(pair), pair.target)
    list(m.train(itertools.repeat(pair)))
    assert mse(m.restore(pair), pair.target) < 0.5 * before


def test_the_losses_by_hand(pair):
    m = small("wgan_vgg[content=mse,content_weight=0.3]")
    y = m.G(pair.observed)
    game, content = -m.D(y).mean(), 4 * (y - pair.target[..., 8:-8, 8:-8]).square().mean()  # on [-1, 1]
    assert m.generator_loss(pair).item() == pytest.approx((game + 0.3 * content).item(), rel=1e-5)
    torch.manual_seed(1)
    loss = m.critic_loss(pair).item()
    torch.manual_seed(1)
    x, fake = pair.target[..., 8:-8, 8:-8], y.detach()
    a = torch.rand(4, 1, 1, 1)
    z = (a * x + (1 - a) * fake).requires_grad_()
    (g,) = torch.autograd.grad(m.D(z).sum(), z)
    expected = m.D(fake).mean() - m.D(x).mean() + 10 * (g.flatten(1).norm(dim=1) - 1).square().mean()
    assert loss == pytest.approx(expected.item(), rel=1e-4)


def test_vgg_sees_gray_three_times(pair):
    m = small("wgan_vgg[content='perceptual[net=random_vgg19,layer=2]']")
    y = torch.rand(4, 1, 16, 16)
    three = [(2 * z - 1).repeat(1, 3, 1, 1) for z in (y, pair.target[..., 8:-8, 8:-8])]
    assert m.content_loss(pair, y).item() == pytest.approx(m.content(*three).item(), rel=1e-6)


def test_without_vggs_weights_the_paper_s_own_loss_is_unavailable(monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(Unavailable, match=r"vgg19-dcbb9e9d\.pth not found"):
        small("wgan_vgg")


def test_a_last_relu_leaves_some_seeds_black():
    """Why `last_relu` can be switched off: without biases the sign of the output is a matter of the draw."""
    x, black = torch.full((1, 1, 40, 40), 0.3), []
    for seed in range(20):
        torch.manual_seed(seed)
        black.append(not wgan_vgg._generator(1, 8, last_relu=True)(x).any())
    assert 4 <= sum(black) <= 16


@pytest.mark.parametrize("size", [(21, 30), (64, 64), (9, 40)])
def test_any_size_is_restored(size):
    y = torch.rand(2, 1, *size)
    for m in [small("wgan_vgg[content=mse]")] + ([small("red_cnn")] if min(size) > 20 else []):
        x = m.restore(Batch(y))
        assert x.shape == y.shape
        assert 0 <= x.min() <= x.max() <= 1


def test_what_cannot_be_built():
    with pytest.raises(UsageError, match="more than 16, not 16"):
        registry.make("method", "wgan_vgg[content=mse]")(task_of(crop=16))
    for spec, message in {
        "wgan_vgg[adversarial='',content='']": "an adversarial or a content loss",
        "red_cnn[size=4]": "size must be odd",
    }.items():
        with pytest.raises(ValueError, match=message):
            registry.find("method", parse(spec).name).HP(**parse(spec).options)


# -- reconstruction
@pytest.mark.parametrize("name", ["fbp_hann[cutoff=1.0]", "tv_ct[weight=0.03,iterations=20]"])
def test_beats_the_plain_ramp_within_the_window(name, scan):
    task, batch = scan
    psnr = registry.make("metric", "psnr_hu")
    x = registry.make("method", name)(task).restore(batch.without_target())
    assert x.shape == batch.observed.shape
    assert (psnr(x, batch.target) > psnr(batch.observed, batch.target) + 1).all()


def test_fbp_hann_with_a_whole_window_is_the_scanners(scan):
    task, batch = scan
    x = registry.make("method", "fbp_hann[cutoff=0.7]")(task).restore(batch)
    assert torch.equal(x, ct.picture(task.scanner.fbp(batch.sinogram, 64, "hann", 0.7)))


def test_sart_as_scikit_image(scan):
    """Another interpolation and another order of views: close, not equal. Theirs divides by squared weights,
    so its 0.15 is about 0.5 here.
    """
    task, batch = scan
    clean = task.scanner.project(ct.attenuation(batch.target))
    ours = registry.make("method", "sart[iterations=4,relax=0.5]")(task).restore(Batch(batch.observed, sinogram=clean))
    rays = clean[0].double().numpy().T / (350 / 64)  # a pixel for a unit
    theirs = None
    for _ in range(4):
        theirs = iradon_sart(rays, np.arange(60) * 3.0, image=theirs, relaxation=0.15, clip=(0, 1))
    theirs = ct.picture(torch.from_numpy(theirs).float())
    inner = ct.inscribed_disc(64)
    error = [mse(x[inner], batch.target[0, 0][inner]) for x in (ours[0, 0], theirs)]
    assert mse(ours[0, 0][inner], theirs[inner]) < 0.2 * error[1]
    assert error[0] == pytest.approx(error[1], rel=0.2)


def test_sart_explains_what_was_measured(scan):
    task, batch = scan
    clean = task.scanner.project(ct.attenuation(batch.target))
    residuals = []
    for iterations in (1, 4, 16):
        x = registry.make("method", f"sart[iterations={iterations},relax=0.5]")(task).restore(Batch(batch.observed, sinogram=clean))
        residuals.append((task.scanner.project(ct.attenuation(x)) - clean).norm() / clean.norm())
    assert residuals[0] > 2 * residuals[2]
    assert residuals[2] < 0.01


@pytest.mark.parametrize(("count", "together"), [(60, 1), (17, 1), (60, 10), (61, 7), (6, 6), (1, 1)])
def test_sart_takes_every_view_once_an_iteration(count, together):
    groups = [torch.arange(count)[views] for views in _order(count, 2, together)]
    half = len(groups) // 2
    for part in (groups[:half], groups[half:]):
        assert sorted(torch.cat(part).tolist()) == list(range(count))
    if together == 1 and count > 4:
        assert min(abs(a.item() - b.item()) for a, b in itertools.pairwise(groups[:half])) > count // 4


def test_differences_and_their_transpose():
    rng = torch.Generator().manual_seed(0)
    x, q = torch.rand(2, 1, 6, 7, generator=rng), torch.rand(2, 2, 6, 7, generator=rng)
    assert (tv_ct._grad(x) * q).sum().item() == pytest.approx((x * tv_ct._adjoint(q)).sum().item(), rel=1e-5)


class _Eye:
    """A scanner that looks at each pixel alone: reconstruction becomes denoising, which scikit-image can do."""

    views, field = 1, 32.0

    def project(self, mu):
        return mu.flatten(2)

    def backproject(self, rays, size):
        return rays.reshape(-1, 1, size, size)

    def fbp(self, rays, size, taper):
        return self.backproject(rays, size)


def test_total_variation_as_scikit_image(monkeypatch):
    monkeypatch.setattr(ct, "inscribed_disc", lambda size, device=None: torch.ones(size, size, dtype=torch.bool))
    monkeypatch.setattr(ct, "picture", lambda mu: mu)
    rng = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(1, 1, 4, 4, generator=rng), scale_factor=8) + 0.1 * torch.randn(
        1,
        1,
        32,
        32,
        generator=rng,
    )
    x = x.clamp_min(0)
    monkeypatch.setattr(torch.Tensor, "exp", lambda self: torch.ones_like(self))  # every ray counts alike
    ours = tv_ct.TVCT(SimpleNamespace(scanner=_Eye()), weight=0.1, iterations=600).restore(Batch(x, sinogram=x.flatten(2)))
    theirs = denoise_tv_chambolle(x[0, 0].double().numpy(), weight=0.1, eps=1e-9, max_num_iter=3000)
    np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=3e-3)


def test_more_weight_less_variation(scan):
    task, batch = scan
    variation = []
    for weight in (0.0, 0.03, 0.3):
        x = registry.make("method", f"tv_ct[weight={weight}]")(task).restore(batch.pick(0))
        variation.append(tv_ct._grad(x).norm(dim=1).sum().item())
    assert variation[0] > 1.1 * variation[1] > 1.2 * variation[2]


@pytest.mark.parametrize("name", ["fbp_hann", "sart", "tv_ct[iterations=20]"])
def test_what_is_tuned_is_best_on_the_scans_it_was_tuned_on(name, scan):
    task, batch = scan
    m = registry.make("method", name)(task)
    m.prepare(iter(()))
    errors = [float(logs["mse"]) for logs in m.train(iter(()))]
    window = [mse(*(ct.clip_to_window(x, "abdomen") for x in (m.attempt(batch, hp).clamp(0, 1), batch.target))) for hp in m.hp.candidates]
    assert errors == pytest.approx(window, rel=1e-5)
    assert m.chosen == m.hp.candidates[errors.index(min(errors))]
    assert torch.equal(m.restore(batch), m.attempt(batch, m.chosen).clamp(0, 1))


@pytest.mark.parametrize("spec", ["fbp_hann[cutoff=0]", "sart[relax=2]", "sart[together=0]", "tv_ct[weight=-1]", "tv_ct[iterations=0]"])
def test_impossible_settings(spec):
    parsed = parse(spec)
    with pytest.raises(ValueError, match=r"must be"):
        registry.find("method", parsed.name).HP(**parsed.options)
