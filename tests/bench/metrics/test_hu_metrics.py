"""Metrics in a window of Hounsfield units against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench import registry
from bench.judging.profiles import profile
from bench.operators import ct


@pytest.fixture(scope="module")
def slices():
    """Tissue, air and bone in HU, and the same with noise: N x 1 x H x W."""
    rng = torch.Generator().manual_seed(0)
    hu = torch.randint(-1000, 1200, (2, 1, 6, 6), generator=rng).float().repeat_interleave(7, 2).repeat_interleave(7, 3)
    return hu, (hu + 60 * torch.randn(hu.shape, generator=rng)).clamp(*ct.HU_RANGE)


@pytest.mark.oracle("metric", "psnr_hu", "rmse_hu")
@pytest.mark.parametrize(("window", "low", "high"), [("abdomen", -160, 240), ("full", -1024, 3072), ("lung", -1350, 150)])
def test_as_scikit_image_on_clipped_hu(slices, window, low, high):
    x, y = (ct.from_hu(image) for image in slices)
    seen, noisy = (image[:, 0].double().clamp(low, high).numpy() for image in slices)
    psnr, rmse = (registry.make("metric", f"{name}[window={window}]")(y, x).tolist() for name in ("psnr_hu", "rmse_hu"))
    for i in range(2):
        assert psnr[i] == pytest.approx(peak_signal_noise_ratio(seen[i], noisy[i], data_range=high - low), abs=1e-3)
        assert rmse[i] == pytest.approx(np.sqrt(np.mean((seen[i] - noisy[i]) ** 2)), rel=1e-4)


@pytest.mark.oracle("metric", "ssim_hu")
def test_ssim_pads_with_zeros_after_windowing(slices):
    x, y = (ct.from_hu(image) for image in slices)
    ours = registry.make("metric", "ssim_hu")(y, x).tolist()
    for i in range(2):
        a, b = (
            np.pad((image[i, 0].double().clamp(-160, 240).numpy() + 160) / 400, 10) for image in slices
        )  # 5 for each edge's window, 5 to spare
        _, maps = structural_similarity(a, b, data_range=1, gaussian_weights=True, use_sample_covariance=False, full=True)
        assert ours[i] == pytest.approx(maps[10:-10, 10:-10].mean(), abs=2e-5)


def test_each_window_has_a_card_of_its_own():
    for name in ("psnr_hu", "ssim_hu", "rmse_hu"):
        cards = [registry.make("metric", f"{name}[window={w}]").card() for w in ct.WINDOWS]
        assert len({card.hash for card in cards}) == 3
        assert [card.protocol["low_hu"] for card in cards] == [-160, -1350, -1024]


def test_the_profile_of_the_paper_is_the_window_of_the_belly():
    for spec in (profile("ct_window").psnr, profile("ct_window").ssim):
        assert registry.make("metric", spec).card().protocol["high_hu"] == 240
