import numpy as np
import pytest
import torch
from scipy.signal import convolve as scipy_convolve

from bench import registry
from bench.errors import UsageError
from bench.method import Batch
from bench.operators.psf import convolve, psf_to_otf
from datasets.photos import Photos
from methods.classical import _deconvolve
from methods.classical.blind_motion import _autocorrelation, _lines, _log_likelihood, _log_spectrum
from methods.classical.richardson_lucy import RichardsonLucy
from methods.classical.unsupervised_wiener import _gibbs

ORACLES = ("wiener", "unsupervised_wiener", "richardson_lucy")
BLIND = ("identity", "unsharp", "blind_motion")
NOISE = 2 / 255


def restore(spec, batch):
    torch.manual_seed(0)
    return registry.make("method", spec)(None).restore(batch)


def psnr(a, b):
    return -10 * torch.log10((a - b).square().flatten(1).mean(1))


def kernels(n, k=15, seed=0):
    """Short random walks with momentum: curved, lopsided kernels."""
    generator = torch.Generator().manual_seed(seed)
    angle = 6.28 * torch.rand(n, 1, generator=generator) + 0.15 * torch.randn(n, 24, generator=generator).cumsum(1)
    path = torch.stack([angle.sin(), angle.cos()], -1).cumsum(1) * 0.4
    at = (path - path.mean(1, keepdim=True) + k // 2).round().long().clamp(0, k - 1)
    psf = torch.zeros(n, k * k).scatter_add_(1, at[..., 0] * k + at[..., 1], torch.ones(n, 24))
    return psf.view(n, k, k) / 24


def degrade(sharp, psf, boundary="reflect"):
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(1))
    return Batch((convolve(sharp, psf, boundary) + NOISE * noise).clamp(0, 1), sharp, psf, NOISE)


@pytest.fixture(scope="module")
def crops():
    """Eight crops of 128 pixels, of training photos and the validation photo."""
    pictures = [p.target for split in ("train", "validation") for p in Photos().open(None, split)]
    return torch.stack([p[:, 100 : 100 + 128, x : x + 128] for p in pictures for x in (60, 188)])[:: len(pictures) // 4][:8]


@pytest.fixture(scope="module")
def blurred(crops):
    return degrade(crops, kernels(len(crops)))


@pytest.mark.parametrize("spec", ORACLES)
def test_oracle_gains_a_decibel(spec, blurred):
    gain = psnr(restore(spec, blurred), blurred.target) - psnr(blurred.observed, blurred.target)
    assert gain.mean() > 1


def test_wrong_kernel_harms(blurred):
    assert psnr(restore("wrong_psf", blurred), blurred.target).mean() < psnr(blurred.observed, blurred.target).mean() - 1


def test_unsharp_gains_on_average(crops):
    batch = degrade(crops, kernels(len(crops)))
    assert psnr(restore("unsharp[radius=5.0,amount=0.25]", batch), crops).mean() > psnr(batch.observed, crops).mean()


def test_identity_is_exact(blurred):
    assert torch.equal(restore("identity", blurred), blurred.observed)


@pytest.mark.parametrize("spec", [*ORACLES, *BLIND, "wrong_psf"])
@pytest.mark.parametrize(("channels", "h", "w"), [(1, 33, 50), (3, 17, 65), (3, 16, 16)])
def test_any_shape(spec, channels, h, w):
    sharp = torch.rand(2, channels, h, w, generator=torch.Generator().manual_seed(0))
    batch = degrade(sharp, kernels(2))
    before = batch.observed.clone()
    out = restore(spec, batch)
    assert (out.shape, out.dtype, out.device) == (sharp.shape, torch.float32, sharp.device)
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(batch.observed, before)


@pytest.mark.parametrize("spec", ["wiener", "richardson_lucy", "wrong_psf", *BLIND])
def test_pictures_do_not_meet(spec, blurred):
    together = restore(spec, blurred)
    alone = torch.cat([restore(spec, Batch(blurred.observed[[i]], None, blurred.psf[[i]], NOISE)) for i in range(len(blurred))])
    assert torch.allclose(together, alone, atol=2e-4)


def test_unsupervised_pictures_meet_in_the_random_numbers_only(blurred):
    """Alone or beside others: the same posterior mean up to the chain's own scatter."""
    spec = "unsupervised_wiener[burn_in=40,samples=40]"
    together = restore(spec, blurred)[3:4]
    alone = restore(spec, Batch(blurred.observed[3:4], None, blurred.psf[3:4], NOISE))
    assert psnr(together, alone) > 45


@pytest.mark.parametrize("spec", [*ORACLES, "wrong_psf"])
def test_missing_kernel(spec):
    with pytest.raises(UsageError, match="psf") as error:
        restore(spec, Batch(torch.rand(1, 3, 16, 16)))
    assert "\n" not in str(error.value)
    assert registry.find("method", spec).needs == {"psf"}


@pytest.mark.parametrize("spec", BLIND)
def test_blind_methods_do_not_look_at_the_kernel(spec, blurred):
    assert "psf" not in registry.find("method", spec).needs
    assert torch.equal(restore(spec, blurred), restore(spec, Batch(blurred.observed, None, None, NOISE)))


@pytest.mark.parametrize(
    "spec",
    [
        "wiener[balance=-1]",
        "wrong_psf[balance=-1]",
        "richardson_lucy[iterations=0]",
        "unsharp[radius=0]",
        "unsupervised_wiener[samples=0]",
        "blind_motion[lengths=(50,)]",
        "blind_motion[temper=0]",
    ],
)
def test_senseless_options(spec):
    with pytest.raises(ValueError, match="must"):
        registry.make("method", spec)(None)


@pytest.mark.parametrize("size", [(64, 64), (45, 60)])
def test_wiener_equals_scikit_image_on_a_periodic_picture(crops, size):
    from skimage.restoration import wiener

    sharp, psf = crops[:2, :, : size[0], : size[1]], kernels(2)
    y = degrade(sharp, psf, "circular").observed
    otf = psf_to_otf(psf, size)
    ours = _deconvolve.wiener(y, otf, otf.abs().square(), 0.02)
    theirs = [[wiener(c.numpy(), k.numpy(), 0.02, clip=False) for c in image] for image, k in zip(y, psf)]
    assert np.allclose(ours.numpy(), np.array(theirs), atol=1e-4)


def test_periodic_keeps_the_picture_and_closes_the_seam(crops):
    psf = kernels(2)
    for height, width in ((128, 128), (61, 90)):
        images = crops[:2, :, :height, :width]
        canvas = _deconvolve.periodic(images, psf)
        change = (_deconvolve.centre(canvas, images) - images).abs()
        assert change[..., 8:-8, 8:-8].max() < 1e-5  # the taper reaches K pixels from the ends of the canvas, 8 of them are continuation
        assert change.mean() < 0.005
        extended = _deconvolve.mirrored(_deconvolve.mirrored(images, -2, canvas.shape[-2]), -1, canvas.shape[-1])
        blurred = convolve(extended, psf, "circular")
        for dim in (-2, -1):
            assert torch.allclose(canvas.select(dim, 0), blurred.select(dim, 0), atol=1e-5)  # edge taper: at the very seam nothing but blur
            step, bare = ((x.select(dim, 0) - x.select(dim, -1)).abs().mean() for x in (canvas, images))
            assert step < 0.3 * bare


def test_richardson_lucy_equals_a_plain_loop():
    """Scene on the plane, light that was not measured masked out, float64 SciPy convolutions: the textbook update."""
    generator = torch.Generator().manual_seed(0)
    y, psf = torch.rand(1, 1, 20, 27, generator=generator) * 0.8 + 0.1, kernels(1, 7)
    k, r = psf[0].double().numpy(), 3
    mask = np.pad(np.ones((20, 27)), r)
    data = np.pad(y[0, 0].double().numpy(), r)
    reach = scipy_convolve(mask, k[::-1, ::-1], "same")
    x = np.full(data.shape, y.double().mean().item())
    for _ in range(8):
        predicted = scipy_convolve(x, k, "same", method="direct")
        ratio = np.divide(data, predicted, out=np.zeros_like(data), where=mask > 0)
        x *= scipy_convolve(ratio, k[::-1, ::-1], "same", method="direct") / np.where(reach > 0.01, reach, np.inf)
    ours = RichardsonLucy(None, iterations=8).restore(Batch(y, None, psf))
    assert np.allclose(ours[0, 0].numpy(), x[r:-r, r:-r].clip(0, 1), atol=1e-4)


@pytest.mark.parametrize("width", [63, 64])
def test_gibbs_agrees_with_scikit_image(crops, width, monkeypatch):
    """With one repair: at even width scikit-image counts the last column of the half spectrum twice,
    worth 20 % of the prior's precision.
    """
    from skimage.restoration import uft, unsupervised_wiener

    weights = np.array([1] + [2] * ((width - 1) // 2) + [1] * (1 - width % 2))
    monkeypatch.setattr(uft, "image_quad_norm", lambda half: (np.abs(half) ** 2 * weights).sum())
    sharp, psf = crops[:1, :1, :64, :width], kernels(1)
    y = degrade(sharp, psf, "circular").observed
    torch.manual_seed(0)
    ours, noise, prior = _gibbs(y, psf_to_otf(psf, (64, width)), 150, 250)
    params = {"burnin": 150, "min_num_iter": 400, "max_num_iter": 400}
    theirs, chain = unsupervised_wiener(y[0, 0].numpy(), psf[0].numpy(), user_params=params, clip=False, rng=0)
    assert noise.item() == pytest.approx(np.mean(chain["noise"][150:]), rel=0.03)
    assert prior.item() == pytest.approx(np.mean(chain["prior"][150:]), rel=0.05)
    assert psnr(ours, torch.from_numpy(theirs).expand_as(ours)) > 40
    assert noise.item() == pytest.approx(1 / NOISE**2, rel=0.3)


def test_lines_are_centred_kernels():
    psf = _lines((3.0, 12.0), 4)
    assert psf.shape == (9, 15, 15)
    assert torch.allclose(psf.sum((-2, -1)), torch.ones(9))
    assert torch.allclose(psf, psf.flip(-2, -1), atol=1e-6)
    assert psf[0, 7, 7] == 1
    assert ((psf[5] > 1e-3).sum(0).bool().sum(), (psf[5] > 1e-3).sum(1).bool().sum()) == (13, 1)  # 12 pixels along x
    power = psf_to_otf(psf, (64, 64)).abs().square()
    assert torch.allclose(psf_to_otf(_autocorrelation(psf), (64, 64)).real, power, atol=1e-5)


def test_likelihood_is_largest_where_the_model_is_true():
    """A spectrum drawn from the model, contrast 10 ** -4.3, slope -3, built in NumPy: its own line leaves no residual."""
    bank = _lines((4.0, 10.0), 3)
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64))
    band = (radius > 1.5 / 64) & (radius < 0.35)
    canvas = np.zeros((64, 64))
    canvas[: bank.shape[-1], : bank.shape[-1]] = bank[5]
    gain = np.abs(np.fft.rfft2(canvas))[band] ** 2
    spectrum = torch.from_numpy(np.log(10**-4.3 * gain / radius[band] ** 3 + 0.01**2 + 1e-6)).float()
    likelihood = _log_likelihood(spectrum[None], bank, 0.01**2)
    assert likelihood.shape == (10, 1, 7)
    assert likelihood.argmax() == 4 * 7 + 5  # the fifth contrast is 10 ** -4.3
    assert likelihood.max().item() == pytest.approx(0, abs=1e-3)


def test_blind_motion_finds_length_and_angle(crops):
    """True lines of the bank: the most probable one has nearly their length and angle."""
    bank = _lines((3.0, 6.0, 9.0, 12.0, 15.0, 18.0), 12)
    truth = torch.tensor([39, 47, 54, 32, 65, 57, 40, 50])[: len(crops)]  # 1 + 12 length + angle
    y = degrade(crops, bank[truth]).observed
    best = _log_likelihood(_log_spectrum(y), bank, NOISE**2 / 3).logsumexp(0).argmax(-1)
    length_off = ((best - 1) // 12 - (truth - 1) // 12).abs()
    angle_off = ((best - truth + 6) % 12 - 6).abs()
    assert (length_off <= 1).float().mean() >= 0.75
    assert (angle_off <= 1).float().mean() >= 0.75


def test_blind_motion_gains_on_lines_by_its_estimate(crops):
    straight = degrade(crops, _lines((12.0,), 8)[1:])
    gain = psnr(restore("blind_motion", straight), crops) - psnr(straight.observed, crops)
    blank = psnr(restore("blind_motion[temper=1e9]", straight), crops) - psnr(straight.observed, crops)
    assert gain.mean() > 0.5
    assert gain.mean() > blank.mean() + 0.3  # what the estimate adds to the average kernel


def test_unsharp_formula():
    """An impulse of height 1 gains amount (1 - G(0)) at its centre and loses amount G around it, on grey 0.5."""
    y = torch.full((1, 1, 31, 31), 0.4)
    y[0, 0, 15, 15] = 0.5
    out = restore("unsharp[radius=2.0,amount=0.5]", Batch(y))
    axis = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    g = (axis / axis.sum())[6] ** 2
    assert out[0, 0, 15, 15].item() == pytest.approx(0.5 + 0.5 * 0.1 * (1 - g), abs=1e-6)
    assert out[0, 0, 15, 16].item() == pytest.approx(0.4 - 0.5 * 0.1 * g * axis[7], abs=1e-6)
