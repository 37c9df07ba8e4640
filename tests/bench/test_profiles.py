"""Profiles name existing metrics."""

import pytest

from bench import registry
from bench.errors import UsageError
from bench.profiles import PROFILES, profile


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_make_metrics(name):
    for spec in (profile(name).psnr, profile(name).ssim):
        assert registry.make("metric", spec).card().higher_is_better


def test_unknown_profile():
    with pytest.raises(UsageError, match=r"unknown profile 'gopro'; known: .*gopro_rgb"):
        profile("gopro")
