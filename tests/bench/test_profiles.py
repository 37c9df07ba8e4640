"""Profiles name existing metrics."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.errors import UsageError
from bench.judging.profiles import PROFILES, profile
from bench.operators.resize import weights


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_make_metrics(name):
    for spec in (profile(name).psnr, profile(name).ssim):
        assert registry.make("metric", spec).card().higher_is_better


def test_unknown_profile():
    with pytest.raises(UsageError, match=r"unknown profile 'gopro'; known: .*gopro_rgb"):
        profile("gopro")


def luma8(levels):
    """MATLAB's rgb2ycbcr of H x W x 3 whole numbers, in whole numbers: thousandths, halves up."""
    return (((levels.astype(np.int64) * [65481, 128553, 24966]).sum(-1) + 127_500) // 255_000 + 16).astype(np.float64)


def test_8_bit_luma_rounds_halves_up():
    levels = np.random.default_rng(0).integers(0, 256, (4000, 4000, 3))
    sums = (levels * [65481, 128553, 24966]).sum(-1) % 255_000
    levels = levels[sums == 127_500]  # exact halves
    assert len(levels) > 20
    picture = torch.from_numpy(levels).T.reshape(1, 3, 1, -1).float() / 255
    black = torch.zeros_like(picture)
    expected = np.abs(luma8(levels) - 16).mean() / 255
    assert registry.make("metric", "l1[channel=y601_uint8]")(picture, black).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.skipif("GANBENCH_DATA" not in os.environ, reason="needs GANBENCH_DATA with set5_x4")
def test_the_bicubic_row_of_matlabs_x4_tables():
    """Set5, bicubic: 28.416 dB and .8101 where the low resolution's luma is enlarged, printed as 28.42 and .8104."""
    found = profile("sr_y4_uint8")
    specs = [found.psnr, found.ssim]
    rows, through_rgb = [], []
    for path in sorted(Path(os.environ["GANBENCH_DATA"], "set5_x4").glob("*_HR.png")):
        high, low = (np.asarray(Image.open(p).convert("RGB")) for p in (path, path.with_name(path.name.replace("_HR", "_LR"))))
        down, across = (weights(n, m).double() for n, m in zip(low.shape[:2], high.shape[:2]))
        y = (down @ torch.from_numpy(luma8(low)) @ across.T / 255)[None, None]
        rows.append([registry.make("metric", spec)(y, torch.from_numpy(luma8(high) / 255)[None, None]).item() for spec in specs])
        x, truth = (torch.from_numpy(image / 255).permute(2, 0, 1)[None] for image in (low, high))
        through_rgb.append([registry.make("metric", spec)(down @ x @ across.T, truth).item() for spec in specs])
    assert np.mean(rows, 0) == pytest.approx([28.416, 0.8101], abs=5e-4)
    assert np.mean(through_rgb, 0) == pytest.approx([28.416, 0.8101], abs=4e-3)  # all three colours enlarged: 28.419
