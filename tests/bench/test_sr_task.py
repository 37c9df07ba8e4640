"""The task of super-resolution: SRGAN's rows on Set5, whose small pictures are used, what is refused."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench import registry
from bench.errors import UsageError
from datasets.degrade.bicubic import Bicubic

DATA = os.environ.get("GANBENCH_DATA", "")
needs_set5 = pytest.mark.skipif(not Path(DATA, "set5_x4").is_dir() or not DATA, reason="needs GANBENCH_DATA with set5_x4")
CPU = torch.device("cpu")


def task(spec, root=None):
    made = registry.make("task", spec)
    made.open(root, CPU)
    return made


def score(made, method):
    return made.score(registry.make("method", method)(made), lambda done, total: None).values


@pytest.fixture
def pairs(tmp_path):
    """Two pictures of 48 x 32, whose small versions are plain red."""
    folder = tmp_path / "set5_x4"
    folder.mkdir()
    for n in (1, 2):
        Image.new("RGB", (48, 32), (100, 50 * n, 0)).save(folder / f"img_{n:03}_SRF_4_HR.png")
        Image.new("RGB", (12, 8), (255, 0, 0)).save(folder / f"img_{n:03}_SRF_4_LR.png")
    return tmp_path


@needs_set5
@pytest.mark.parametrize(("method", "psnr", "ssim"), [("bicubic", 28.43, 0.8211), ("nearest", 26.26, 0.7552)])
def test_rows_of_srgans_table(method, psnr, ssim):
    values = score(task("sr[data=set5]", Path(DATA)), method)
    assert values["psnr"] == pytest.approx(psnr, abs=0.02)
    assert values["ssim"] == pytest.approx(ssim, abs=0.0015)
    assert values["ssim[border=4,channel=y601]"] < values["ssim"] - 0.008  # the usual SSIM is another number


@needs_set5
def test_sharper_kernels_score_better_on_set5():
    made = task("sr[data=set5,metrics=('psnr',)]", Path(DATA))
    assert score(made, "nearest")["psnr"] < score(made, "bicubic")["psnr"] < score(made, "lanczos")["psnr"]


def test_the_small_pictures_of_the_set_are_used_whole(pairs):
    made = task("sr[data=set5,tile=16]", pairs)
    (batch,) = made._test.batches
    assert batch.observed.shape == (2, 3, 8, 12)
    assert batch.target.shape == (2, 3, 32, 48)
    assert torch.equal(batch.observed[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    assert made._split("train").names == task("sr")._split("train").names  # the set has none of its own


def test_a_set_for_another_scale_is_refused(pairs):
    with pytest.raises(UsageError, match=r"data=set5\[scale=2\]"):
        score(task("sr[data=set5,scale=2]", pairs), "bicubic")


def test_training_data_of_another_set(pairs, tmp_path):
    for n in range(12):
        Image.new("RGB", (40, 40), (n, 0, 0)).save(tmp_path / f"{n}.png")
    made = task(f"sr[data=set5,train_data='folder[path={tmp_path},recursive=false]',crop=16]", pairs)
    assert made.batch(2, torch.Generator().manual_seed(0)).target.max() < 12 / 255
    assert ("dataset", made.train_data) in made.components()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_batches_are_crops_and_their_small_versions(scale):
    made = task(f"sr[scale={scale},crop=48]")
    batch = made.batch(3, torch.Generator().manual_seed(0))
    assert batch.target.shape == (3, 3, 48, 48)
    assert torch.equal(batch.observed, Bicubic(scale=scale).apply(batch.target))
    assert torch.equal(batch.observed, made.batch(3, torch.Generator().manual_seed(0)).observed)
    assert made.offers == {"scale", "files"}
    assert f"ssim[border={scale},channel=y601]" in made.metrics


def test_tiles_that_the_scale_does_not_divide_are_cropped():
    batch = task("sr[scale=3,crop=48,tile=64,pictures=2]")._test.batches[0]
    assert batch.target.shape[-2:] == (63, 63)
    assert batch.observed.shape[-2:] == (21, 21)


def test_crops_fit_the_scale():
    with pytest.raises(UsageError, match="multiple of scale, not 32 at scale 3"):
        task("sr[scale=3,crop=32]")


def test_methods_that_keep_the_size_are_refused():
    with pytest.raises(ValueError, match=r"Identity\.restore returned"):
        score(task("sr[tile=64,crop=32,pictures=1]"), "identity")
