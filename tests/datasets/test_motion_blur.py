import cmath
import math

import numpy as np
import pytest
import torch

from bench.operators.psf import convolve
from datasets.degrade import motion_blur
from datasets.degrade.motion_blur import MotionBlur

LAWS = ["deblurgan_code", "boracchi_foi", "paper_as_printed"]
M = 2000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def walk_one(law, draws, j, p_s, length):
    """The law for one path in plain complex arithmetic, written from the table of the paper and the code."""
    u = draws.constants[:, j]
    printed = law == "paper_as_printed"
    inertia, p_b, p_g, phi = 0.7 * u[0], 0.2 * u[1], (0.7 if printed else 10) * u[2], 2 * math.pi * u[3]
    step = length / (M - 1)
    v = cmath.exp(1j * phi) * (p_s if p_s > 0 and not printed else step)
    x, impulses = [0j], 0
    for t in range(M - 1):
        push = 0
        if draws.impulse[t, j] < p_b * p_s:
            push = 2 * v * cmath.exp(1j * (math.pi + float(draws.jitter[t, j]) - 0.5))
            impulses += 1
        shake = complex(draws.shake[t, j])
        dv = p_s * (p_g * shake * inertia * x[t] if printed else p_g * shake - inertia * x[t]) * step
        v = v + push + dv
        v = v / abs(v) * step
        x.append(x[t] + v)
    return np.array(x), impulses


def splat_one(x, weight, size):
    psf = np.zeros((size, size))
    for p, w in zip(x, weight):
        for row in range(size):
            for column in range(size):
                psf[row, column] += w * max(0, 1 - abs(p.real - column)) * max(0, 1 - abs(p.imag - row))
    return psf / M


def draws_of(law, n=16, seed=0):
    return motion_blur._draw(n, seeded(seed), normal=law == "paper_as_printed")


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("p_s", [0.0, 0.003, 0.05])
def test_the_batch_walks_like_one(law, p_s):
    draws = draws_of(law)
    got = motion_blur._walk(law, draws, np.full(16, p_s), 60.0)
    want = np.stack([walk_one(law, draws, j, p_s, 60.0)[0] for j in range(16)], axis=1)
    tolerance = 1e-9 if law != "paper_as_printed" else 1e-6  # a thousand reversals amplify rounding
    np.testing.assert_allclose(got, want, atol=tolerance)


@pytest.mark.parametrize("law", LAWS)
def test_arc_length_is_max_len(law):
    path = motion_blur._walk(law, draws_of(law), np.full(16, 0.005), 24.0)
    np.testing.assert_allclose(np.abs(np.diff(path, axis=0)).sum(0), 24.0, rtol=1e-12)


def test_without_shake_the_path_is_straight():
    path = motion_blur._walk("deblurgan_code", draws_of("deblurgan_code"), np.zeros(16), 60.0)
    np.testing.assert_allclose(np.abs(path[-1] - path[0]), 60.0, rtol=1e-12)


def test_impulses_as_printed_and_as_coded():
    laws = ("deblurgan_code", "paper_as_printed")
    counts = {law: np.mean([walk_one(law, draws_of(law), j, 0.005, 60.0)[1] for j in range(16)]) for law in laws}
    assert 950 < counts["paper_as_printed"] < 1050
    assert 0.2 < counts["deblurgan_code"] < 3


def test_larger_severity_makes_a_smaller_blur():
    """Mean extents for L = 60 near 54, 32.6, 22.6, 20.2, 12.3, 6.0 and 3.5 pixels."""
    extents = []
    for p_s in (0.0, 0.001, 0.003, 0.005, 0.01, 0.05, 0.1):
        path = motion_blur._walk("boracchi_foi", draws_of("boracchi_foi", 300), np.full(300, p_s), 60.0)
        extents.append(np.maximum(np.ptp(path.real, axis=0), np.ptp(path.imag, axis=0)).mean())
    assert extents == sorted(extents, reverse=True)
    np.testing.assert_allclose(extents, [54, 32.6, 22.6, 20.2, 12.3, 6.0, 3.5], rtol=0.2)  # those are means of 60 paths


def test_exposure_of_the_port_and_of_the_original():
    fractions = np.array([0.01, 0.1, 0.5, 1.0])
    np.testing.assert_allclose(motion_blur._exposed(fractions, first=1).sum(0) / M, [0.01, 0.1, 0.5, 0.9995], rtol=1e-12)
    np.testing.assert_allclose(motion_blur._exposed(fractions, first=0).sum(0) / M, fractions, rtol=1e-12)
    assert motion_blur._exposed(np.array([0.50025]), first=0)[1000, 0] == pytest.approx(0.5)  # the last sample counts in part


def test_the_exposures_of_deblurgans_script_are_drawn_in_equal_shares():
    blur = MotionBlur(max_len=60, severity=(0.0,), exposure=(0.1, 0.5, 1.0))
    kernels = blur.kernels(300, torch.Generator().manual_seed(0))
    at = torch.stack(torch.meshgrid(*[torch.arange(kernels.shape[-1]).double()] * 2, indexing="ij"))
    spread = (kernels[:, None].double() * (at - kernels.shape[-1] // 2).square()).sum((1, 2, 3))  # of a straight line of length l: l^2 / 12
    lengths = (12 * spread).sqrt()
    shares = [((lengths - 60 * part).abs() < 1.5).double().mean().item() for part in (0.1, 0.5, 1.0)]
    assert sum(shares) == 1
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


@pytest.mark.parametrize("centre", ["centroid", "bounding_box"])
@pytest.mark.parametrize("law", LAWS)
def test_kernels_are_the_straightforward_raster(law, centre):
    blur = MotionBlur(law=law, max_len=8, centre=centre, severity=(0.004,), exposure=(0.3,))
    draws = draws_of(law, 2)
    got = blur.kernels(2, seeded())
    for j in range(2):
        x, weight = walk_one(law, draws, j, 0.004, 8.0)[0], motion_blur._exposed(np.array([0.3]), int(law == "deblurgan_code"))[:, 0]
        seen = x[weight > 0]
        middle = complex(np.ptp(seen.real) / 2 + seen.real.min(), np.ptp(seen.imag) / 2 + seen.imag.min())
        x = x - (np.average(x, weights=weight) if centre == "centroid" else middle) + (1 + 1j) * (got.shape[-1] // 2)
        want = splat_one(x, weight, got.shape[-1])
        np.testing.assert_allclose(got[j].numpy(), want / want.sum(), atol=1e-6)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("centre", ["centroid", "bounding_box"])
@pytest.mark.parametrize(("max_len", "severity"), [(24.0, None), (24.0, (0.0,)), (0.3, (0.0, 0.1)), (61.7, (0.0,))])
def test_kernels_are_distributions_on_a_canvas_that_holds_them(law, centre, max_len, severity):
    blur = MotionBlur(law=law, max_len=max_len, severity=severity, exposure=(0.001, 0.1, 1.0), centre=centre)
    psf = blur._draw(64, seeded())
    assert psf.min() >= 0
    np.testing.assert_allclose(psf.sum((1, 2)), 1, atol=1e-12)
    assert psf.shape[1] % 2 == 1
    kernels = blur.kernels(64, seeded())
    assert kernels.dtype == torch.float32
    np.testing.assert_allclose(kernels.numpy(), psf, atol=1e-7)


def test_kernels_are_centred():
    psf = MotionBlur(max_len=31).kernels(32, seeded())
    at = torch.arange(psf.shape[-1]).float() - psf.shape[-1] // 2
    torch.testing.assert_close((psf.sum(1) @ at).abs() + (psf.sum(2) @ at).abs(), torch.zeros(32), atol=1e-4, rtol=0)


def test_same_seed_same_kernels():
    blur = MotionBlur()
    assert torch.equal(blur.kernels(300, seeded(3)), blur.kernels(300, seeded(3)))
    assert not torch.equal(blur.kernels(8, seeded(3)), blur.kernels(8, seeded(4)))
    bank = blur.bank(300, 3)
    assert torch.equal(bank, blur.kernels(300, seeded(3)))
    assert MotionBlur().bank(300, 3) is bank
    assert MotionBlur(law="boracchi_foi").bank(300, 3) is not bank


def test_apply_is_convolution_noise_and_rounding():
    x = torch.rand(4, 3, 40, 40, generator=seeded())
    psf = MotionBlur(max_len=9).kernels(4, seeded(1))
    plain = MotionBlur(quantise=False).apply(x, psf, seeded(2))
    assert torch.equal(plain, convolve(x, psf))
    noise = MotionBlur(quantise=False, noise=0.1).apply(x, psf, seeded(2)) - plain
    assert noise.std().item() == pytest.approx(0.1, rel=0.03)
    assert torch.equal(noise + plain, MotionBlur(quantise=False, noise=0.1).apply(x, psf, seeded(2)))
    rounded = MotionBlur(noise=0.5).apply(x, psf, seeded(2)) * 255
    torch.testing.assert_close(rounded, rounded.round(), atol=1e-4, rtol=0)
    assert rounded.min() == 0
    assert rounded.max() == 255


def test_gamma_blurs_light_not_code_values():
    x = torch.rand(2, 3, 40, 40, generator=seeded())
    psf = MotionBlur(max_len=9).kernels(2, seeded(1))
    got = MotionBlur(gamma=2.2, quantise=False).apply(x, psf, seeded())
    torch.testing.assert_close(got**2.2, convolve(x**2.2, psf), atol=1e-5, rtol=0)
    flat = torch.full((1, 3, 40, 40), 0.4)
    torch.testing.assert_close(MotionBlur(gamma=2.2).apply(flat, psf[:1], seeded()), flat, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "options",
    [{"max_len": 0}, {"max_len": 24, "size": 30}, {"max_len": 24, "size": 25}, {"exposure": ()}, {"exposure": (0.0,)}, {"severity": ()},
     {"severity": (-1,)}, {"noise": -1}, {"gamma": 0}],
)  # fmt: skip
def test_senseless_options_are_refused(options):
    with pytest.raises(ValueError, match="must"):
        MotionBlur(**options)
