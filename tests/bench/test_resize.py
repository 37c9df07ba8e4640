"""Resizing against a plain loop, and against torch and PIL where their borders do not reach."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from bench.operators.resize import _by_phases, enlarge, weights


def cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def lanczos3(x):
    if x == 0:
        return 1.0
    return 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2 if abs(x) < 3 else 0.0


def imresize(n, m, kernel, width, border):
    """MATLAB's `contributions`, one weight at a time, places counted from 1."""
    scale = m / n
    width, stretch = (width / scale, scale) if scale < 1 else (width, 1.0)
    out = np.zeros((m, n))
    for x in range(1, m + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - width / 2)
        places = [left + k for k in range(math.ceil(width) + 2)]
        values = np.array([stretch * kernel(stretch * (u - p)) for p in places])
        for p, value in zip(places, values / values.sum()):
            mirror = [*range(1, n + 1), *range(n, 0, -1)]
            out[x - 1, (min(max(p, 1), n) if border == "replicate" else mirror[(p - 1) % (2 * n)]) - 1] += value
    return out


@pytest.mark.parametrize("border", ["replicate", "symmetric"])
@pytest.mark.parametrize(("n", "m"), [(24, 6), (24, 8), (24, 12), (7, 28), (5, 15), (8, 8), (4, 1)])
def test_weights_are_those_of_imresize(n, m, border):
    assert np.allclose(weights(n, m, "cubic", border).numpy(), imresize(n, m, cubic, 4, border), atol=1e-12)
    assert np.allclose(weights(n, m, "lanczos3", border).numpy(), imresize(n, m, lanczos3, 6, border), atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_inside_the_picture_cubic_is_torchs_antialiased_and_lanczos_is_pils(scale):
    x = torch.rand(2, 3, 20, 26, generator=torch.Generator().manual_seed(0))
    inner = (..., slice(4 * scale, -4 * scale), slice(4 * scale, -4 * scale))
    theirs = F.interpolate(x, scale_factor=scale, mode="bicubic", antialias=True)
    assert torch.allclose(enlarge(x, scale)[inner], theirs[inner], atol=1e-5)
    pil = np.array(Image.fromarray(x[0, 0].numpy()).resize((26 * scale, 20 * scale), Image.Resampling.LANCZOS))
    assert np.allclose(enlarge(x, scale, "lanczos3")[0, 0][inner[1:]].numpy(), pil[inner[1:]], atol=1e-5)


def test_constants_stay_and_lines_stay_straight():
    assert torch.allclose(enlarge(torch.full((1, 1, 5, 5), 0.7), 3), torch.tensor(0.7))
    line = enlarge(torch.arange(16.0).expand(1, 1, 16, 16), 4)[0, 0, 8]
    assert torch.allclose(line[12:-12].diff(), torch.tensor(0.25), atol=1e-5)  # Keys' kernel reproduces polynomials up to degree 2


@pytest.mark.parametrize("kernel", ["cubic", "lanczos3"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_way_for_sizes_that_stand_for_any_is_the_same(kernel, scale):
    x = torch.rand(2, 3, 11, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_phases = _by_phases(_by_phases(x, scale, kernel).mT, scale, kernel).mT
    assert torch.allclose(by_phases, enlarge(x, scale, kernel), atol=1e-12)
