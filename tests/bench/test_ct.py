"""The scanner against scikit-image, closed forms and itself."""

import math
import warnings

import numpy as np
import pytest
import torch
from skimage.transform import iradon, radon

from bench.operators import ct

FAN = 1.7


def disc(size, radius, x=0.0, y=0.0, fine=8):
    """A disc of ones with antialiased edge, its centre (x, y) pixels off the axis: 1 x 1 x size x size."""
    at = (torch.arange(size * fine) + 0.5) / fine - 0.5 - size // 2
    inside = ((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2 <= radius**2).float()
    return torch.nn.functional.avg_pool2d(inside[None, None], fine)


def smooth(n, size, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.interpolate(torch.rand(n, 1, 6, 6, generator=rng), size=size, mode="bicubic", align_corners=False).clamp(0, 1)
    return x * ct.inscribed_disc(size)


# -- against scikit-image
@pytest.mark.parametrize("size", [47, 48])
def test_projections_are_scikit_images(size):
    x = smooth(2, size)
    ours = ct.Scanner(views=30, field=size).project(x)
    assert ours.shape == (2, 30, size)
    for image, sinogram in zip(x, ours, strict=True):
        theirs = radon(image[0].numpy(), np.arange(30) * 6.0, circle=True).T
        np.testing.assert_allclose(sinogram.numpy(), theirs, atol=2e-4)


@pytest.mark.parametrize("size", [47, 48])
def test_filtered_back_projection_is_scikit_images(size):
    sinogram = torch.rand(2, 30, size, generator=torch.Generator().manual_seed(0))
    inside = ct.inscribed_disc(size).numpy()
    # a pixel sums 30 float32 rays of order 1; their Hann window is half a sample off centre
    for taper, name, tolerance in (("ram_lak", "ramp", 5e-6), ("hann", "hann", 2e-3)):
        ours = ct.Scanner(views=30, field=size).fbp(sinogram, size, taper)
        for image, rays in zip(ours, sinogram, strict=True):
            theirs = iradon(rays.numpy().T, np.arange(30) * 6.0, filter_name=name, circle=True)
            np.testing.assert_allclose(image[0].numpy()[inside], theirs[inside], atol=tolerance)
            assert not image[0].numpy()[~inside].any()


# -- against closed forms
@pytest.mark.parametrize("source", [math.inf, FAN])
def test_line_integrals_of_a_disc(source):
    """The chord at distance d from the centre is 2 sqrt(r^2 - d^2) long, in millimetres."""
    size, radius, x, y, field = 96, 20.0, 9.0, -14.0, 350.0
    scanner = ct.Scanner(views=24, source=source, field=field)
    sinogram = scanner.project(disc(size, radius, x, y))[0]
    t = torch.arange(sinogram.shape[1]) - sinogram.shape[1] // 2
    theta = torch.arange(24)[:, None] * (math.pi if math.isinf(source) else 2 * math.pi) / 24
    across, along = x * theta.cos() - y * theta.sin(), x * theta.sin() + y * theta.cos()  # the centre in the frame of each view
    distance = (t * (1 + along / (source * size)) - across) / (1 + (t / (source * size)) ** 2).sqrt()
    chord = 2 * (radius**2 - distance**2).clamp_min(0).sqrt() * field / size
    clear = (distance.abs() - radius).abs() > 1.5  # off the edge, where a pixel is part in, part out
    torch.testing.assert_close(sinogram[clear], chord[clear], atol=0.03 * radius * field / size, rtol=0)
    assert (sinogram - chord)[clear].abs().mean() < 0.005 * radius * field / size


@pytest.mark.parametrize("source", [math.inf, FAN])
def test_reconstructs_attenuation_in_its_unit(source):
    size, radius = 96, 30.0
    scanner = ct.Scanner(views=120, source=source, field=200.0)
    mu = 0.02 * disc(size, radius, 5, -8)
    back = scanner.fbp(scanner.project(mu), size)
    core, outside = disc(size, radius - 3, 5, -8) == 1, disc(size, radius + 3, 5, -8) == 0
    torch.testing.assert_close(back[core], mu[core], atol=4e-4, rtol=0)
    assert back[outside].abs().mean() < 2e-4
    assert back.sum().item() == pytest.approx(mu.sum().item(), rel=2e-3)


def test_a_fan_from_far_away_is_a_parallel_beam():
    x = smooth(1, 40)
    far, parallel = ct.Scanner(views=40, source=1e6), ct.Scanner(views=20)
    assert far.detectors(40) == 40
    torch.testing.assert_close(far.project(x)[:, :20], parallel.project(x), atol=1e-2, rtol=1e-4)


def test_a_fan_is_as_wide_as_the_shadow_of_the_disc():
    size = 100
    d = ct.Scanner(source=0.8).detectors(size)
    tangent = size / 2 / math.sqrt(1 - (0.5 / 0.8) ** 2)
    assert tangent <= d // 2 + 1 <= tangent + 2
    assert ct.Scanner().detectors(size) == size


def test_the_ramp_removes_the_mean_and_hann_keeps_half_way():
    n = torch.arange(256)
    for f, gain in ((0.25, 0.5), (0.125, (1 + math.cos(math.pi / 4)) / 2)):  # of the sampling rate; Nyquist is 0.5
        wave = torch.cos(2 * math.pi * f * n)[None, None]
        plain, soft = (ct._ramp(wave, taper, 1.0)[0, 0, 64:192] for taper in ("ram_lak", "hann"))
        assert (plain.norm() / wave[0, 0, 64:192].norm()).item() == pytest.approx(f, rel=2e-2)
        assert (soft.norm() / plain.norm()).item() == pytest.approx(gain, rel=1e-2)
    assert ct._ramp(torch.cos(2 * math.pi * 0.25 * n)[None, None], "ram_lak", 0.4)[0, 0, 64:192].abs().max() < 5e-3


# -- against itself
@pytest.mark.parametrize("source", [math.inf, FAN])
def test_batches_views_and_chunks_change_nothing(source, monkeypatch):
    scanner, x = ct.Scanner(views=18, source=source), smooth(3, 32)
    sinogram = scanner.project(x)
    some = slice(3, 12, 4)
    torch.testing.assert_close(scanner.project(x[1:2], some), sinogram[1:2, some])
    back, fbp = scanner.backproject(sinogram, 32), scanner.fbp(sinogram, 32)
    torch.testing.assert_close(scanner.backproject(sinogram[:1, some], 32, some), torch.stack([
        scanner.backproject(sinogram[:1, [i]], 32, slice(i, i + 1)) for i in (3, 7, 11)]).mean(0))  # fmt: skip
    monkeypatch.setattr(ct, "_SAMPLES", 1)
    torch.testing.assert_close(scanner.project(x), sinogram)
    torch.testing.assert_close(scanner.backproject(sinogram, 32), back)
    torch.testing.assert_close(scanner.fbp(sinogram, 32), fbp)


def test_back_projection_is_nearly_the_transpose():
    """<A x, p> = <x, A^T p> for smooth pictures and rays; A^T is views x pixel x mean."""
    size, scanner = 64, ct.Scanner(views=30)
    x = smooth(1, size)
    p = scanner.project(smooth(1, size, seed=1))
    transposed = scanner.backproject(p, size) * scanner.views * scanner.field / size
    assert (x * transposed).sum().item() == pytest.approx((scanner.project(x) * p).sum().item(), rel=2e-3)


# -- scales
def test_scales():
    hu = torch.tensor([-1024.0, -1000.0, 0.0, 1000.0, 3072.0])
    x = ct.from_hu(hu)
    torch.testing.assert_close(ct.to_hu(x), hu, atol=1e-3, rtol=0)
    torch.testing.assert_close(ct.attenuation(x), torch.tensor([0.0, 0.0, 1.0, 2.0, 4.072]) * ct.MU_WATER, atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(ct.picture(ct.attenuation(x[1:])), x[1:])
    assert ct.from_hu(torch.tensor([-3024.0, 5000.0])).tolist() == [0, 1]
    torch.testing.assert_close(
        ct.clip_to_window(ct.from_hu(torch.tensor([-200.0, -160.0, 40.0, 240.0, 900.0])), "abdomen"), torch.tensor([0, 0, 0.5, 1, 1])
    )
    torch.testing.assert_close(ct.clip_to_window(x, "full"), x)


@pytest.mark.parametrize("size", [15, 16])
def test_every_view_sees_the_inscribed_disc(size):
    inside = ct.inscribed_disc(size)
    row, column = (inside.nonzero() - size // 2).float().unbind(1)
    theta = torch.linspace(0, 2 * math.pi, 360)[:, None]
    t = column * theta.cos() - row * theta.sin()
    assert -(size // 2) <= t.min()
    assert t.max() <= (size - 1) // 2
    assert inside[size // 2, size // 2]
    assert not inside[0, 0]


@pytest.mark.parametrize("options", [{"views": 0}, {"source": 0.5}, {"source": math.nan}, {"field": 0.0}, {"field": math.inf}])
def test_impossible_scanners(options):
    with pytest.raises(ValueError, match="views must be >= 1"):
        ct.Scanner(**options)


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scanner = ct.Scanner(views=4)
        scanner.fbp(scanner.project(torch.rand(1, 1, 16, 16)), 16)
