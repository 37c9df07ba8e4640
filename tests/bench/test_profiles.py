"""Profiles name existing metrics; cards of two protocols never share a column."""

import pytest

from bench import registry
from bench.errors import UsageError
from bench.profiles import PROFILES, profile, same_protocol


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_make_metrics(name):
    for spec in (profile(name).psnr, profile(name).ssim):
        assert registry.make("metric", spec).card().higher_is_better


def test_unknown_profile():
    with pytest.raises(UsageError, match=r"unknown profile 'gopro'; known: .*gopro_rgb"):
        profile("gopro")


def test_same_protocol():
    card = registry.make("metric", "psnr").card
    same_protocol([])
    same_protocol([card(), card()])
    with pytest.raises(UsageError, match="border is 0 here and 4 there; quantize is round here and trunc there"):
        same_protocol([card(), card(), registry.make("metric", "psnr[border=4,quantize=trunc]").card()])
    with pytest.raises(UsageError, match="metric is psnr here and ssim there"):
        same_protocol([card(), registry.make("metric", "ssim").card()])
