"""Shrinking as MATLAB does: Set5's own files to the bit, a plain two-pass loop, PIL away from the border."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.errors import UsageError
from bench.operators.resize import weights
from datasets.degrade.bicubic import Bicubic
from datasets.photos import Photos
from datasets.reading.pixels import read_image

SET5 = Path(os.environ.get("GANBENCH_DATA", ""), "set5_x4")
needs_set5 = pytest.mark.skipif(not SET5.is_dir() or "GANBENCH_DATA" not in os.environ, reason="needs GANBENCH_DATA with set5_x4")


def levels(x):
    return (x * 255).round().int()


@pytest.fixture(scope="module")
def photo():
    return Photos().open(None, "validation")[0].target[None]  # 1 x 3 x 300 x 451


@needs_set5
def test_set5_comes_out_to_the_bit():
    for large in sorted(SET5.glob("*_HR.png")):
        small = read_image(large.with_name(large.name.replace("_HR", "_LR")))
        assert torch.equal(levels(Bicubic().apply(read_image(large)[None])[0]), levels(small)), large.name


@needs_set5
def test_newer_borders_change_the_rim_alone():
    large = read_image(SET5 / "img_003_SRF_4_HR.png")[None]
    change = levels(Bicubic(border="symmetric").apply(large)) - levels(Bicubic().apply(large))
    assert change.abs().max() > 1
    assert not change[..., 2:-2, 2:-2].any()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rows_are_stored_before_columns(photo, scale):
    """NumPy on whole numbers: each pass rounds halves up and clips, as MATLAB does with uint8."""
    x = levels(Bicubic(scale=scale).crop(photo[..., :61, :77]))[0, 1].numpy()
    for n in x.shape:
        w = weights(n, n // scale).numpy()
        x = np.clip(np.floor(w @ x + 0.5 + 1e-9), 0, 255).T
    ours = Bicubic(scale=scale).apply(Bicubic(scale=scale).crop(photo[..., :61, :77]))
    assert np.array_equal(levels(ours)[0, 1].numpy(), x)
    assert torch.equal(levels(ours) / 255, ours)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pil_agrees_inside(photo, scale):
    large = Bicubic(scale=scale).crop(photo)
    pil = Image.fromarray(levels(large)[0].byte().permute(1, 2, 0).numpy())
    theirs = np.array(pil.resize((large.shape[-1] // scale, large.shape[-2] // scale), Image.Resampling.BICUBIC)).astype(int)
    ours = levels(Bicubic(scale=scale).apply(large))[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs)[2:-2, 2:-2].max() <= 1


def test_modcrop_keeps_the_top_left(photo):
    assert Bicubic(scale=4).crop(photo).shape[-2:] == (300, 448)
    assert torch.equal(Bicubic(scale=4).crop(photo), photo[..., :448])


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="crop it first"):
        Bicubic(scale=4).apply(torch.rand(1, 3, 8, 10))
    with pytest.raises(UsageError, match="leave it out"):
        Bicubic(scale=4).crop(torch.rand(1, 3, 3, 10))
    with pytest.raises(UsageError, match="scale"):
        registry.make("degradation", "bicubic[scale=5]")


def test_a_batch_is_its_pictures(photo):
    x = torch.cat([photo[..., :64, :64], photo[..., 64:128, :64]])
    assert torch.equal(Bicubic().apply(x), torch.cat([Bicubic().apply(one[None]) for one in x]))
