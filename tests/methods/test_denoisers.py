"""Denoisers: filters against plain loops and other libraries, tuning, DnCNN and its checkpoints, Noise2Noise, GCBD."""

import dataclasses
import itertools
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import UsageError
from bench.method import Batch
from bench.suites.expand import expand
from bench.suites.read import load_suite
from datasets.degrade.gaussian import Gaussian
from datasets.photos import Photos
from methods.classical._noise_level import noise_level
from methods.classical._wavelets import _SYM8, analyse, synthesise
from methods.classical.wavelet_bayes import _shrink
from methods.restoration._dncnn import DnCNNNetwork, residual_loss
from methods.restoration.gcbd import _noise_blocks, _patches

SIGMA = 25 / 255
FILTERS = ("gaussian", "median", "bilateral", "tv_chambolle", "nl_means")
FIXED = {
    "gaussian": "gaussian[radius=1.0]",
    "median": "median[size=5]",
    "bilateral": "bilateral[radius=1.5,similarity=2.5]",
    "tv_chambolle": "tv_chambolle[weight=0.8,iterations=20]",
    "nl_means": "nl_means[h=0.8,distance=3]",
    "wavelet_bayes": "wavelet_bayes",
}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def make(spec, **task):
    torch.manual_seed(0)
    return registry.make("method", spec)(SimpleNamespace(**{"channels": 1, "device": torch.device("cpu"), **task}))


def psnr(a, b):
    return -10 * math.log10(float((a - b).square().mean()))


@pytest.fixture(scope="module")
def crops():
    """Eight gray crops of training photos, 64 pixels, under noise of 25."""
    photos = [p.target[1:2] for p in Photos().open(None, "train")]
    x = torch.stack([p[:, 150 : 150 + 64, 120 : 120 + 64] for p in photos] + [p[:, 60:124, 60:124] for p in photos[:2]])
    return Batch(Gaussian(sigma=25).apply(x, rng()), x, sigma=SIGMA)


def run(spec, y, sigma=SIGMA):
    m = make(spec)
    return m.filter(y, torch.full((len(y), 1, 1, 1), sigma, dtype=y.dtype), m.chosen)


# -- filters
@pytest.mark.parametrize("spec", FIXED.values())
def test_filters_denoise(spec, crops):
    assert psnr(make(spec).restore(crops), crops.target) > psnr(crops.observed, crops.target) + 2


@pytest.mark.parametrize("spec", FIXED.values())
@pytest.mark.parametrize(("channels", "h", "w"), [(1, 33, 50), (3, 40, 17), (3, 16, 16)])
def test_any_shape_and_one_picture_at_a_time(spec, channels, h, w):
    y = torch.rand(2, channels, h, w, generator=rng()) * 1.2 - 0.1
    before, m = y.clone(), make(spec)
    x = m.restore(Batch(y, sigma=0.1))
    assert (x.shape, x.dtype) == (y.shape, torch.float32)
    assert 0 <= x.min() <= x.max() <= 1
    assert torch.equal(y, before)
    alone = torch.cat([m.restore(Batch(y[i : i + 1], sigma=0.1)) for i in range(2)])
    assert torch.allclose(x, alone, atol=1e-5)


@pytest.mark.parametrize("iterations", [1, 25])
def test_tv_equals_scikit_image(crops, iterations):
    from skimage.restoration import denoise_tv_chambolle

    y = crops.observed[:2].double()
    ours = run(f"tv_chambolle[weight=0.8,iterations={iterations}]", y)
    theirs = [denoise_tv_chambolle(image[0].numpy(), 0.8 * SIGMA, eps=0, max_num_iter=iterations + 1) for image in y]
    assert np.allclose(ours[:, 0].numpy(), np.array(theirs), atol=1e-10)


def test_median_and_gaussian_equal_scipy(crops):
    from scipy import ndimage

    y = crops.observed[0, 0].double().numpy()
    assert np.array_equal(run("median[size=5]", crops.observed[:1].double())[0, 0].numpy(), ndimage.median_filter(y, 5, mode="mirror"))
    smooth = run("gaussian[radius=1.3]", crops.observed[:1].double())[0, 0].numpy()
    rounding = 8 * torch.finfo(torch.float32).eps * np.abs(y).max()  # of the float32 kernel: a few units in the last place
    np.testing.assert_allclose(smooth, ndimage.gaussian_filter(y, 1.3, mode="mirror", radius=6), rtol=0, atol=rounding)


def test_bilateral_equals_a_plain_loop():
    y = torch.rand(1, 3, 9, 11, generator=rng(), dtype=torch.float64)
    ours, image = run("bilateral[radius=1.0,similarity=2.0]", y, 0.2)[0].numpy(), y[0].numpy()
    padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode="reflect")
    for i, j in itertools.product(range(9), range(11)):
        total = weights = 0
        for di, dj in itertools.product(range(-3, 4), repeat=2):
            if di**2 + dj**2 <= 6.25:
                there = padded[:, i + 3 + di, j + 3 + dj]
                w = math.exp(-(di**2 + dj**2) / 2 - np.mean((there - image[:, i, j]) ** 2) / (2 * 0.4**2))
                total, weights = total + w * there, weights + w
        assert np.allclose(ours[:, i, j], total / weights)


def test_nl_means_equals_a_plain_loop():
    y = torch.rand(1, 2, 8, 10, generator=rng(), dtype=torch.float64)
    ours, image = run("nl_means[h=1.5,patch=3,distance=2]", y, 0.2)[0].numpy(), y[0].numpy()
    padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode="reflect")

    def patch(i, j):
        return padded[:, i + 2 : i + 5, j + 2 : j + 5]

    for i, j in itertools.product(range(8), range(10)):
        total = weights = 0
        for di, dj in itertools.product(range(-2, 3), repeat=2):
            d2 = np.mean((patch(i, j) - patch(i + di, j + dj)) ** 2)
            w = math.exp(-max(d2 - 2 * 0.2**2, 0) / (1.5 * 0.2) ** 2)
            total, weights = total + w * padded[:, i + 3 + di, j + 3 + dj], weights + w
        assert np.allclose(ours[:, i, j], total / weights)


def test_nl_means_is_as_good_as_scikit_images(crops):
    """Its fast mode drops small weights and sums over smaller patches, so pixels differ."""
    from skimage.restoration import denoise_nl_means

    options = {"h": 0.8 * SIGMA, "sigma": SIGMA, "patch_size": 5, "patch_distance": 6, "fast_mode": True}
    theirs = torch.stack([torch.from_numpy(denoise_nl_means(image[0].numpy(), **options))[None] for image in crops.observed])
    assert psnr(run("nl_means[h=0.8]", crops.observed), crops.target) > psnr(theirs.float(), crops.target) - 0.1


# -- wavelets
def test_sym8_by_its_definition():
    """Unit norm, orthogonal to its even shifts, eight vanishing moments: an orthogonal wavelet of 16 taps."""
    h = np.array(_SYM8)
    assert h.sum() == pytest.approx(math.sqrt(2))
    assert [float(h[2 * k :] @ h[: 16 - 2 * k]) for k in range(8)] == pytest.approx([1, *[0] * 7], abs=1e-10)
    x = (np.arange(16) - 7.5) / 7.5
    assert [float((-1.0) ** np.arange(16) * h @ x**k) for k in range(8)] == pytest.approx([0] * 8, abs=1e-10)
    assert abs((-1.0) ** np.arange(16) * h @ x**8) > 1e-4


@pytest.mark.parametrize("size", [(40, 37), (17, 16), (64, 64)])
def test_transform_is_inverted(size):
    x = torch.rand(2, 3, *size, generator=rng(), dtype=torch.float64)
    bands = analyse(x)
    assert bands.shape == (2, 3, 4, (size[0] + 15) // 2, (size[1] + 15) // 2)
    assert torch.allclose(synthesise(bands, size), x, atol=1e-10)


def test_noise_stays_noise_and_pictures_leave_the_details():
    noise = analyse(torch.randn(1, 1, 256, 256, generator=rng()))
    assert noise.std((-2, -1)).flatten().tolist() == pytest.approx([1] * 4, rel=0.03)
    ramp = analyse(torch.arange(64.0).view(1, 1, 64, 1).expand(1, 1, 64, 64).double())
    assert ramp[:, :, 1:, 8:-8, 8:-8].abs().max() < 1e-9


@pytest.mark.parametrize("size", [(60, 53), (48, 64)])
def test_transform_equals_pywavelets(size):
    pywt = pytest.importorskip("pywt")
    x = torch.rand(size, generator=rng(), dtype=torch.float64)
    approximation, (horizontal, vertical, diagonal) = pywt.dwt2(x.numpy(), "sym8")
    assert np.allclose(analyse(x[None, None])[0, 0].numpy(), [approximation, vertical, horizontal, diagonal])


@pytest.mark.parametrize("levels", [1, 2])
def test_shrinkage_equals_scikit_image(crops, levels):
    pytest.importorskip("pywt")
    from skimage.restoration import denoise_wavelet

    y = crops.observed[:1].double()
    theirs = denoise_wavelet(y[0, 0].numpy(), SIGMA, "sym8", "soft", levels, method="BayesShrink", rescale_sigma=False)
    assert np.allclose(_shrink(y, torch.full((1, 1, 1, 1, 1), SIGMA).double(), levels)[0, 0].numpy(), theirs)


def test_more_levels_than_one_are_needed(crops):
    gain = [psnr(make(f"wavelet_bayes[levels={n}]").restore(crops), crops.target) for n in (1, 4)]
    assert gain[1] > gain[0] + 1


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_level_is_estimated(sigma):
    x = torch.stack([p.target[:, :200, :200] for p in Photos().open(None, "train")])
    found = noise_level(Gaussian(sigma=sigma).apply(x, rng()), 0.0) * 255
    assert found.flatten().tolist() == pytest.approx([sigma] * len(x), rel=0.08, abs=2)  # fine texture counts as noise
    assert noise_level(x, 0.3).unique().tolist() == pytest.approx([0.3])


# -- tuning
@pytest.mark.parametrize("name", FILTERS)
def test_tuning_takes_the_best_candidate(name, crops):
    m = make(name)
    m.prepare(itertools.repeat(Batch(crops.observed[:1, :, :32, :32], crops.target[:1, :, :32, :32], sigma=SIGMA)))
    logs = list(m.train(iter(())))
    assert len(logs) == m.t == m.hp.steps == len(m.hp.candidates)
    errors = [float(log["mse"]) for log in logs]
    best = m.hp.candidates[errors.index(min(errors))]
    assert m.chosen == best
    assert m.chosen != m.hp.candidates[0] or name == "median"
    one = make(name.join(["", "["]) + ",".join(f"{k}={v}" for k, v in dataclasses.asdict(best).items()) + "]")
    assert one.hp.steps == 0
    assert torch.equal(one.restore(crops), m.restore(crops))


def test_tuning_resumes(crops):
    whole, cut = make("tv_chambolle"), make("tv_chambolle")
    for m in (whole, cut):
        m.prepare(itertools.repeat(crops.pick(1)))
    list(whole.train(iter(())))
    list(itertools.islice(cut.train(iter(())), 3))
    resumed = make("tv_chambolle")
    resumed.load_state(cut.state())
    list(resumed.train(iter(())))
    assert torch.equal(resumed.errors, whole.errors)


@pytest.mark.parametrize("spec", ["median[size=4]", "tv_chambolle[iterations=0]", "nl_means[patch=4]", "wavelet_bayes[levels=0]"])
def test_senseless_options(spec):
    with pytest.raises(ValueError, match="must"):
        make(spec)


# -- DnCNN
@pytest.mark.parametrize(
    ("channels", "layers", "norm", "count"),
    [
        (1, 17, True, 556_097),
        (1, 17, False, 555_137),
        (1, 20, True, 667_073),
        (1, 20, False, 665_921),
        (3, 20, True, 669_379),
        (3, 20, False, 668_227),
    ],
)
def test_dncnn_parameters(channels, layers, norm, count):
    assert sum(p.numel() for p in DnCNNNetwork(channels, layers, norm=norm).parameters()) == count


@pytest.mark.parametrize(("layers", "field"), [(17, 35), (20, 41)])
def test_dncnn_receptive_field(layers, field):
    net = DnCNNNetwork(1, layers, 2, norm=False).double()
    for p in net.parameters():
        nn.init.constant_(p, 0.1)
    x = torch.rand(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
    net(x)[0, 0, 30, 30].backward()
    seen = x.grad[0, 0] != 0
    assert (seen.any(0).sum(), seen.any(1).sum()) == (field, field)


def test_dncnn_loss_by_hand():
    x, y = torch.rand(2, 3, 1, 4, 4, generator=rng()).unbind()
    net = nn.Conv2d(1, 1, 1)
    expected = sum(((net(b[None]) - (b - a)) ** 2).sum() for a, b in zip(x, y)) / 6
    assert residual_loss(net, y, x).item() == pytest.approx(expected.item(), rel=1e-5)


def test_dncnn_without_a_last_layer_is_the_identity(crops):
    m = make("dncnn[layers=4,width=8]")
    for p in m.G[-1].parameters():
        nn.init.zeros_(p)
    assert torch.equal(m.restore(crops), crops.observed.clamp(0, 1))


@pytest.mark.parametrize("spec", ["dncnn", "noise2noise"])
def test_regression_learns(spec, crops):
    m = make(f"{spec}[layers=3,width=8,init=default,steps=80,optimizer='adam[lr=2e-2]']", corrupt=lambda x: x + SIGMA * torch.randn_like(x))
    logs = list(m.train(itertools.repeat(crops)))
    assert m.t == len(logs) == 80
    m.G.eval()
    assert psnr(m.restore(crops), crops.target) > psnr(crops.observed.clamp(0, 1), crops.target) + 1


def test_noise2noise_never_meets_the_truth(crops):
    seen = []
    m = make("noise2noise[layers=3,width=8]", corrupt=lambda x: seen.append(x) or torch.zeros_like(x))
    loss = m.loss(crops)
    assert torch.equal(seen[0], crops.target)
    assert loss.item() == pytest.approx(residual_loss(m.G, crops.observed, torch.zeros_like(crops.observed)).item(), rel=1e-5)


@pytest.mark.parametrize("tier", ["quick", "standard", "paper"])
def test_the_ablations_of_gcbd_train_their_denoiser_as_long_as_dncnn(tier):
    updates = {}
    for trial in expand(load_suite("denoise"), tier, seeds=[0]):
        if trial.spec.name in {"dncnn", "gcbd"}:
            hp = registry.find("method", trial.spec.name).HP(**trial.spec.options)
            updates[trial.label] = hp.steps - round(getattr(hp, "gan_share", 0) * hp.steps)
    assert len(updates) == 5
    assert len(set(updates.values())) == 1


def test_the_ablations_of_gcbd_begin_with_the_denoiser(crops):
    m = make("gcbd[noise=oracle,steps=6,layers=3,width=4,patch=16,local=8,blocks=4,batch_size=2]")
    m.prepare(itertools.repeat(crops))
    assert [sorted(logs) for logs in m.train(itertools.repeat(crops))] == [["loss"]] * 4


# -- published weights: the architectures of KAIR and SaoYan, written down again
def trained(layers, seed=0):
    """Give batch norms statistics that matter."""
    torch.manual_seed(seed)
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                tensor.data.uniform_(0.5, 1.5)
    return net.eval()


def saoyan(channels=1, depth=10, width=6):
    middle = [m for _ in range(depth - 2) for m in (nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())]
    return trained([nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.ReLU(), *middle, nn.Conv2d(width, channels, 3, 1, 1, bias=False)])


def kair(norm, channels=1, depth=10, width=6):
    unit = [lambda: nn.Conv2d(width, width, 3, 1, 1), *([lambda: nn.BatchNorm2d(width, eps=1e-4)] if norm else []), nn.ReLU]
    middle = [layer() for _ in range(depth - 2) for layer in unit]
    return trained([nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU(), *middle, nn.Conv2d(width, channels, 3, 1, 1)])


FORMATS = {
    "kair": (lambda: kair(norm=False), "model."),
    "kair_norm": (lambda: kair(norm=True), "model."),
    "saoyan": (saoyan, "module.dncnn."),
    "saoyan_single": (saoyan, "dncnn."),
    "own": (lambda: trained(list(DnCNNNetwork(1, 10, 6))), "G."),
}


@pytest.mark.parametrize("name", FORMATS)
def test_published_checkpoints(name, tmp_path):
    build, prefix = FORMATS[name]
    net = build()
    kept = {key: value for key, value in net.state_dict().items() if name != "saoyan" or "num_batches" not in key}  # torch 0.3 had none
    state = {prefix + key: value for key, value in kept.items()}
    torch.save(state, tmp_path / "net.pth")
    m = make(f"dncnn[weights='{tmp_path / 'net.pth'}']")
    y = torch.rand(2, 1, 20, 23, generator=rng())
    with torch.no_grad():
        assert torch.allclose(m.restore(Batch(y)), (y - net(y)).clamp(0, 1), atol=1e-5)
    assert len([layer for layer in m.G if isinstance(layer, nn.Conv2d)]) == 10
    assert m.hp.steps == 0


def test_own_weights_as_a_trial_leaves_them(tmp_path):
    from safetensors.torch import save_file

    net = trained(list(DnCNNNetwork(3, 4, 5)))
    save_file({f"method.G.{k}": v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "last.safetensors")
    y = torch.rand(1, 3, 9, 9, generator=rng())
    m = make(f"dncnn[weights='{tmp_path / 'last.safetensors'}']", channels=3)
    with torch.no_grad():
        assert torch.allclose(m.G(y), net(y), atol=1e-5)


def test_checkpoints_that_do_not_fit(tmp_path):
    def save(state):
        torch.save(state, tmp_path / "net.pth")
        return f"dncnn[weights='{tmp_path / 'net.pth'}']"

    with pytest.raises(UsageError, match="is for channels 3, the task has channels 1"):
        make(save({f"model.{k}": v for k, v in kair(False, channels=3).state_dict().items()}))
    for state in ({}, {"features.0.weight": torch.zeros(1)}, {"model.0.weight": torch.zeros(1), "other": torch.zeros(1)}):
        with pytest.raises(UsageError, match="holds no weights for dncnn: expected cszn/KAIR, DnCNN with merged norms or"):
            make(save(state))
    with pytest.raises(UsageError, match="holds no weights for dncnn"):
        make(save({"model.0.weight": torch.zeros(8, 1, 3, 3), "model.2.weight": torch.zeros(1, 4, 3, 3)}))
    with pytest.raises(UsageError, match="no weights at"):
        make("dncnn[weights=nowhere.pth]")
    with pytest.raises(UsageError, match="other things than named tensors"):
        make(save([torch.zeros(1)]))


class _Bomb:
    def __reduce__(self):
        import os

        return os.mkdir, ("exploded",)


@pytest.mark.parametrize(
    "write", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing)), lambda thing, path: path.write_text("text")]
)
def test_nothing_in_a_checkpoint_is_run(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(_Bomb(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match="nothing in it was run") as error:
        make(f"dncnn[weights='{tmp_path / 'net.pth'}']")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "exploded").exists()


# -- GCBD
def test_pure_noise_is_accepted_and_centred():
    """Flat gray 128 under noise of 25: about 93 % of patches are smooth."""
    y = Gaussian(sigma=25).apply(torch.full((200, 1, 64, 64), 128 / 255), rng())
    blocks = _noise_blocks(y, 16, 0.1, 0.25)
    assert len(blocks) / 200 == pytest.approx(0.93, abs=0.06)
    assert blocks.mean((-2, -1)).abs().max() < 1e-6
    assert blocks.std().item() == pytest.approx(25 / 255, rel=0.02)


def test_structure_is_refused():
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 1, 64, 64)
    edge = (ramp > 0.5).float() * 0.5 + 0.2
    half_textured = torch.full((1, 1, 64, 64), 0.5)
    half_textured[..., :32] += 0.02 * torch.randn(64, 32, generator=rng())
    y = torch.cat([ramp, edge, half_textured]) + 0.005 * torch.randn(3, 1, 64, 64, generator=rng())
    assert len(_noise_blocks(y, 16, 0.1, 0.25)) == 0
    color = torch.cat([torch.full_like(ramp, 0.5), ramp, torch.full_like(ramp, 0.5)], 1) + 0.02 * torch.randn(1, 3, 64, 64, generator=rng())
    assert len(_noise_blocks(color, 16, 0.1, 0.25)) == 0


def test_patches_overlap_by_half():
    x = torch.arange(2 * 32 * 48.0).view(2, 1, 32, 48)
    p = _patches(x, 16)
    assert p.shape == (2 * 3 * 5, 1, 16, 16)
    assert torch.equal(p[1], x[0, :, :16, 8:24])
    assert torch.equal(p[15], x[1, :, :16, :16])


GCBD = "gcbd[steps=6,batch_size=8,patch=16,local=8,blocks=64,layers=3,width=4,ngf=4,ndf=4,n_critic=2,gamma=1.0,noise={}]"


def gcbd(noise, size=24):
    m = make(GCBD.format(noise))
    clean = torch.rand(16, 1, 1, 1, generator=rng()).expand(16, 1, size, size) * 0.6 + 0.2
    m.prepare(iter(lambda: Batch(Gaussian(sigma=25).apply(clean, rng()), clean), None))
    return m


@pytest.mark.parametrize("noise", ["gan", "blocks", "gaussian", "oracle"])
def test_what_the_denoiser_is_trained_on(noise):
    m = gcbd(noise)
    v = m.draw(200)
    assert v.shape == (200, 1, 16, 16)
    if noise != "gan":
        assert v.std().item() == pytest.approx(25 / 255, rel=0.15)
    extracted = (v[:, None] == m.blocks).flatten(2).all(2).any(1)
    assert extracted.sum() == {"gan": 100, "blocks": 200, "gaussian": 0, "oracle": 200}[noise]
    if noise != "gaussian":
        assert v.mean((-2, -1)).abs().max() < 1e-6


def test_gcbd_never_uses_pairs():
    """What is observed is seen in `prepare` alone, and the truth there by the oracle alone."""
    truth = torch.full((16, 1, 16, 16), float("nan"))
    y = Gaussian(sigma=25).apply(torch.full_like(truth, 0.5), rng())
    m = make(GCBD.format("blocks"))
    m.prepare(itertools.repeat(Batch(y, truth)))
    assert m.blocks.isfinite().all()
    assert m.loss(Batch(truth, y)).isfinite()


def test_gcbd_trains_in_stages():
    m = gcbd("gan")
    before = [p.clone() for p in (*m.denoiser.parameters(), *m.G.parameters())]
    n, k = len(list(m.denoiser.parameters())), 0
    x = torch.rand(8, 1, 24, 24, generator=rng())
    for k, log in enumerate(m.train(itertools.repeat(Batch(x, x))), 1):
        moved = [not torch.equal(a, b) for a, b in zip(before, (*m.denoiser.parameters(), *m.G.parameters()))]
        assert log.keys() == ({"critic", "generator"} if k <= 2 else {"loss"})
        assert any(moved[:n]) == (k > 2)
        assert any(moved[n:])
    assert k == 6


@pytest.mark.parametrize(("size", "flat", "match"), [(12, True, "crops of at least 16 pixels"), (24, False, "no smooth patch")])
def test_gcbd_says_why_there_is_no_noise(size, flat, match, monkeypatch):
    monkeypatch.setattr("methods.restoration.gcbd._SCAN", 3)
    m = make(GCBD.format("blocks"))
    y = torch.linspace(0, 1, size).expand(4, 1, size, size) * (not flat)
    with pytest.raises(UsageError, match=match):
        m.prepare(itertools.repeat(Batch(y, y)))


@pytest.mark.parametrize("option", ["patch=24", "patch=16,local=5", "gan_share=1.0"])
def test_gcbd_senseless_options(option):
    with pytest.raises(ValueError, match="must"):
        make(f"gcbd[{option}]")
