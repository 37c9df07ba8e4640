"""Image metrics against closed forms, other libraries and straightforward NumPy."""

import math
import os
from pathlib import Path

import numpy as np
import piq
import pytest
import scipy.ndimage
import scipy.signal
import torch
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench import registry
from bench.errors import UsageError
from bench.judging.profiles import PROFILES

ALL = [
    "psnr", "psnr[reduce=per_channel]", "psnr[channel=y601,border=4]", "ssim", "ssim[window=uniform7,cov=sample]", "ssim[boundary=zero]",
    "ssim_daala", "ms_ssim", "ms_ssim_wavelet", "cw_ssim", "gmsd", "haarpsi",
]  # fmt: skip
PERFECT = {"psnr": math.inf, "gmsd": 0.0}


def metric(spec):
    return registry.make("metric", spec)


def tensor(image):
    array = np.atleast_3d(np.asarray(image, dtype=np.float64))
    return torch.from_numpy((array / 255).transpose(2, 0, 1)[None].astype(np.float32))


def photos(n=3, size=176, noise=0.05):
    """n crops of a photo and the same with noise, stored at 8 bits."""
    rng = np.random.default_rng(0)
    x = torch.cat([tensor(data.astronaut()[40 * i : 40 * i + size, 50 * i : 50 * i + size + 9]) for i in range(n)])
    y = (x + noise * torch.from_numpy(rng.standard_normal(x.shape)).float()).clamp(0, 1)
    return (y * 255).round() / 255, x


@pytest.fixture(scope="module")
def blurred():
    """The pair that the conventions were compared on: astronaut and its 9-pixel horizontal box blur."""
    sharp = data.astronaut()
    return tensor(np.round(scipy.ndimage.uniform_filter1d(sharp.astype(float), 9, axis=1)).clip(0, 255)), tensor(sharp)


@pytest.mark.parametrize("spec", ALL)
def test_contract(spec):
    y, x = photos()
    part = metric(spec)
    scores = part(y, x)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    assert torch.isfinite(scores).all()
    one_by_one = torch.cat([part(y[i : i + 1], x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(scores, one_by_one, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        part(x, x), torch.full((3,), PERFECT.get(spec.partition("[")[0], 1.0), dtype=torch.float64), rtol=0, atol=1e-7
    )
    noisier = part((x + 3 * (y - x)).clamp(0, 1), x)
    assert ((noisier < scores) == part.higher_is_better).all()
    assert part.card().hash == metric(spec).card().hash


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize(
    ("a", "b"), [((1, 3, 180, 180), (1, 3, 180, 181)), ((3, 180, 180), (3, 180, 180)), ((1, 2, 180, 180), (1, 2, 180, 180))]
)
def test_wrong_shapes(spec, a, b):
    with pytest.raises(UsageError, match="N x C x H x W"):
        metric(spec)(torch.zeros(a), torch.zeros(b))


@pytest.mark.parametrize(("spec", "side"), [("ssim", 11), ("ssim[border=4]", 19), ("ms_ssim", 161), ("haarpsi", 16), ("psnr[border=3]", 7)])
def test_too_small(spec, side):
    metric(spec)(torch.zeros(1, 1, side, side), torch.zeros(1, 1, side, side))
    with pytest.raises(UsageError, match="too small"):
        metric(spec)(torch.zeros(1, 1, side - 1, side), torch.zeros(1, 1, side - 1, side))


@pytest.mark.parametrize(
    ("spec", "value", "digits"),
    [
        ("psnr", 24.517, 3), ("psnr[reduce=per_channel]", 24.531, 3), ("psnr[channel=y601]", 26.070, 3), ("psnr[channel=gray]", 24.654, 3),
        ("psnr[channel=y601,border=4]", 26.038, 3), ("psnr[channel=y601,border=8]", 26.006, 3), ("ssim", 0.79952, 5),
        ("ssim[window=uniform7,cov=sample]", 0.81009, 5), ("ssim[cov=sample]", 0.79912, 5), ("ssim[boundary=zero]", 0.80419, 5),
        ("ssim[boundary=reflect]", 0.80160, 4), ("ssim[channel=y601]", 0.83114, 5),
        ("ssim[channel=y601,window=uniform7,cov=sample]", 0.83739, 5), ("cw_ssim", 0.9954, 3),
    ],
)  # fmt: skip
def test_spread_of_conventions(spec, value, digits, blurred):
    assert metric(spec)(*blurred).item() == pytest.approx(value, abs=10.0**-digits)


def test_studio_against_full_swing(blurred):
    offset = metric("psnr[channel=y601,quantize=none]")(*blurred) - metric("psnr[channel=y601_full,quantize=none]")(*blurred)
    assert offset.item() == pytest.approx(20 * math.log10(255 / 219), abs=1e-4)


@pytest.mark.oracle("metric", "psnr")
def test_psnr_closed_forms():
    x = torch.full((1, 3, 8, 8), 0.5)
    assert metric("psnr[quantize=none]")(x + 0.1, x).item() == pytest.approx(20, abs=1e-5)
    assert metric("psnr[quantize=none]")(x + 1.0, x).item() == pytest.approx(0, abs=1e-5)  # not clipped
    three, levels = torch.tensor([3.0, 0.0, 0.0]).view(1, 3, 1, 1) / 255, torch.full((1, 3, 8, 8), 100 / 255)
    assert metric("psnr")(levels + three, levels).item() == pytest.approx(20 * math.log10(255 / math.sqrt(3)))
    y, x = photos()
    expected = [peak_signal_noise_ratio(b.double().numpy(), a.double().numpy(), data_range=1) for a, b in zip(y, x)]
    torch.testing.assert_close(metric("psnr")(y, x), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-6)


def test_quantisation():
    levels = torch.arange(256).view(1, 1, 16, 16) / 255
    for how in ("round", "trunc"):
        assert metric(f"psnr[quantize={how}]")(levels, levels).item() == math.inf  # a stored picture stays what it is
    above = levels.clone() + 0.7 / 255
    one_level = torch.full((256,), 1.0)
    one_level[-1] = 0  # clipped
    assert metric("psnr[quantize=trunc]")(above, levels).item() == math.inf
    assert metric("psnr")(above, levels).item() == pytest.approx(20 * math.log10(255) - 10 * math.log10(one_level.mean().item()))


@pytest.mark.oracle("metric", "ssim")
@pytest.mark.parametrize(("window", "cov"), [("gauss11", "pop"), ("gauss11", "sample"), ("uniform7", "pop"), ("uniform7", "sample")])
@pytest.mark.parametrize("size", [11, 43, 74, 176])
def test_ssim_is_scikit_images(window, cov, size):
    y, x = photos(2, size)
    options = {"gaussian_weights": True, "sigma": 1.5} if window == "gauss11" else {}
    expected = [
        structural_similarity(
            b.double().numpy(), a.double().numpy(), channel_axis=0, data_range=1.0, use_sample_covariance=cov == "sample", **options
        )
        for a, b in zip(y, x)
    ]
    scores = metric(f"ssim[window={window},cov={cov},quantize=none]")(y, x)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_ssim_reflect_is_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure

    y, x = photos(2, 80)
    expected = structural_similarity_index_measure(y.double(), x.double(), data_range=1.0, reduction="none")
    torch.testing.assert_close(metric("ssim[boundary=reflect,quantize=none]")(y, x), expected, rtol=0, atol=1e-9)


@pytest.mark.oracle("metric", "ms_ssim")
def test_ms_ssim_is_piqs():
    y, x = (image[..., :176, :176] for image in photos())  # even at every scale: piq pads odd ones differently
    expected = piq.multi_scale_ssim(y.double(), x.double(), reduction="none")
    torch.testing.assert_close(metric("ms_ssim[quantize=none]")(y, x), expected, rtol=0, atol=1e-9)


def test_ms_ssim_odd_sizes():
    y, x = (image[:1, :1, :175, :171].double().numpy()[0, 0] for image in photos(1))
    weights, score = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), 1.0
    for scale, weight in enumerate(weights):
        luminance, contrast, structure = wang(y, x)
        score *= ((luminance * contrast * structure).mean() if scale == 4 else (contrast * structure).mean()) ** weight
        pads = [(side % 2, side % 2) for side in y.shape]
        y, x = (np.pad(i, pads)[: -1 if pads[0][0] else None, : -1 if pads[1][0] else None] for i in (y, x))
        y, x = ((i[::2, ::2] + i[1::2, ::2] + i[::2, 1::2] + i[1::2, 1::2]) / 4 for i in (y, x))
    images = [image[:1, :1, :175, :171] for image in photos(1)]
    assert metric("ms_ssim[quantize=none]")(*images).item() == pytest.approx(score, abs=1e-12)


def wang(y, x):
    """Luminance, contrast and structure maps over whole windows, with SciPy."""
    t = np.arange(-5, 6)
    g = np.exp(-(t**2) / 4.5)
    window = np.outer(g, g) / g.sum() ** 2
    mean = lambda i: scipy.signal.fftconvolve(i, window, "valid")  # noqa: E731
    my, mx = mean(y), mean(x)
    vy, vx, vxy = mean(y * y) - my**2, mean(x * x) - mx**2, mean(x * y) - mx * my
    s = np.sqrt(vy.clip(0) * vx.clip(0))
    c1, c2 = 1e-4, 9e-4
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * s + c2) / (vx + vy + c2), (vxy + c2 / 2) / (s + c2 / 2)


@pytest.mark.oracle("metric", "ms_ssim_wavelet")
def test_ms_ssim_wavelet_in_numpy():
    images = [image[:1, :1, :175, :171] for image in photos(1)]
    y, x = (image.double().numpy()[0, 0] for image in images)
    half = [0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830]
    low = np.array([*half, 0.852698679008890, *half[::-1]])
    kernel = np.outer(low, low) / np.outer(low, low).sum()
    score = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            y, x = (scipy.ndimage.correlate(i, kernel, mode="reflect")[::2, ::2] for i in (y, x))
        luminance, contrast, structure = (m.mean() for m in wang(y, x))
        score *= contrast**weight * structure**weight
    score *= luminance**0.1333
    assert metric("ms_ssim_wavelet[quantize=none]")(*images).item() == pytest.approx(score, abs=1e-10)


@pytest.mark.oracle("metric", "cw_ssim")
@pytest.mark.parametrize("size", [(12, 15), (64, 70), (150, 151)])
def test_cw_ssim_by_direct_convolution(size):
    y, x = (image[:1, :, : size[0], : size[1]] for image in photos(1))
    lines = []
    for image in (y, x):
        eight = Image.fromarray((image[0].permute(1, 2, 0).double().numpy() * 255).round().astype(np.uint8))
        lines.append(np.asarray(eight.convert("L"), dtype=np.float64).ravel())
    sums = np.zeros((4, lines[0].size))
    for width in range(1, 31):
        n = min(10 * width, lines[0].size)
        t = np.arange(n) - (n - 1) / 2
        hat = 2 / (np.sqrt(3 * width) * np.pi**0.25) * (1 - (t / width) ** 2) * np.exp(-((t / width) ** 2) / 2)
        u, v = (np.convolve(line, hat)[(n - 1) // 2 :][: line.size] for line in lines)
        sums += [u * v, abs(u * v), u * u, v * v]
    expected = ((2 * sums[1] + 0.01) / (sums[2] + sums[3] + 0.01) * (2 * abs(sums[0]) + 0.01) / (2 * sums[1] + 0.01)).mean()
    assert metric("cw_ssim")(y, x).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.oracle("metric", "gmsd", "haarpsi")
@pytest.mark.parametrize("size", [16, 95, 176])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["gmsd", "haarpsi"])
def test_gmsd_and_haarpsi_are_piqs(name, channels, size):
    y, x = (image[:, :channels] for image in photos(2, size))
    expected = getattr(piq, name)(y.double(), x.double(), reduction="none")
    torch.testing.assert_close(metric(f"{name}[quantize=none]")(y, x), expected, rtol=0, atol=1e-8)


@pytest.mark.oracle("metric", "ssim_daala")
def test_daala_in_numpy():
    """Window by window, from the definition."""
    y, x = (image[:1, :1, :48, :40] for image in photos(1))
    a, b = (np.round(image[0, 0].double().numpy() * 255) for image in (y, x))
    sigma = 48 * 1.5 / 256
    half = int(sigma * math.sqrt(-2 * math.log(math.sqrt(math.pi / 2) * sigma / 256)))
    taps = {t: round(256 * math.exp(-t * t / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))) for t in range(-half, half + 1)}
    taps[0] = 256 - sum(v for t, v in taps.items() if t)
    total = weight = 0.0
    for i in range(48):
        for j in range(40):
            inside = [
                (p, q, taps[p - i] * taps[q - j])
                for p in range(i - half, i + half + 1)
                for q in range(j - half, j + half + 1)
                if 0 <= p < 48 and 0 <= q < 40
            ]
            w = sum(t for *_, t in inside)
            ma, mb = (sum(t * m[p, q] for p, q, t in inside) for m in (a, b))
            aa, bb, ab = (sum(t * m[p, q] * n[p, q] for p, q, t in inside) for m, n in ((a, a), (b, b), (a, b)))
            c1, c2 = 255**2 * 1e-4 * w**2, 255**2 * 9e-4 * w**2
            total += (
                w * (2 * ma * mb + c1) * (c2 + 2 * (ab * w - ma * mb)) / ((ma**2 + mb**2 + c1) * (aa * w - ma**2 + bb * w - mb**2 + c2))
            )
            weight += w
    assert metric("ssim_daala")(y, x).item() == pytest.approx(total / weight, abs=1e-12)


@pytest.mark.skipif("GANBENCH_DATA" not in os.environ, reason="needs GANBENCH_DATA with set5_x4")
@pytest.mark.parametrize(("kernel", "psnr", "ssim"), [("BICUBIC", 28.43, 0.8211), ("NEAREST", 26.26, 0.7552)])
def test_srgan_table_rows(kernel, psnr, ssim):
    folder = Path(os.environ["GANBENCH_DATA"], "set5_x4")
    if not folder.is_dir():
        pytest.skip("GANBENCH_DATA holds no set5_x4")
    profile, scores = PROFILES["srgan_daala"], []
    for path in sorted(folder.glob("*_HR.png")):
        high, low = (Image.open(p).convert("RGB") for p in (path, path.with_name(path.name.replace("_HR", "_LR"))))
        up = low.resize(high.size, getattr(Image.Resampling, kernel))
        scores.append([metric(spec)(tensor(up), tensor(high)).item() for spec in (profile.psnr, profile.ssim)])
    assert len(scores) == 5
    assert np.mean(scores, axis=0) == pytest.approx([psnr, ssim], abs=0.02)
    assert np.mean(scores, axis=0)[1] == pytest.approx(ssim, abs=0.002)


def test_cards_say_what_becomes_of_odd_sides_and_which_version_is_meant():
    for name in ("ms_ssim", "gmsd", "haarpsi"):
        assert "zero" in metric(name).card().protocol["odd_sides"]
    assert "0.7.1" in metric("cw_ssim").card().protocol["pyssim"]


@pytest.mark.parametrize("name", ["gmsd", "haarpsi"])
def test_the_padding_of_odd_sides_is_what_the_card_says(name):
    odd = [image[..., :177, :177] for image in photos(n=1, size=177)]
    padded = [torch.nn.functional.pad(image, [0, 1, 0, 1]) for image in odd]
    assert metric(name)(*padded).item() == pytest.approx(metric(name)(*odd).item(), abs=1e-12)


@pytest.mark.parametrize("quantize", ["round", "none"])
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_what_is_infinite_in_one_picture_scores_nothing_there_and_changes_no_other(quantize, value):
    x = torch.rand(3, 3, 16, 16)
    y = (x + 0.1).clamp(0, 1)
    y[1, 0, 2, 3] = value
    scores = metric(f"psnr[quantize={quantize}]")(y, x)
    assert scores.isnan().tolist() == [False, True, False]
