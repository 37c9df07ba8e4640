"""Pictures with where they draw the eye: made scenes, and the layouts in which the sets are published."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from bench.errors import Unavailable, UsageError
from datasets.mit1003 import MIT1003
from datasets.popout import Popout
from datasets.salicon import Salicon
from datasets.sod import SOD

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")


def paint(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


# pop-out scenes


@pytest.fixture(scope="module")
def scenes():
    return Popout(test=40).open(None, "test")


@pytest.mark.oracle("dataset", "popout")
def test_scenes_are_what_they_say(scenes):
    for scene in list(scenes)[:8]:
        assert scene.observed.shape == (3, 96, 128)
        assert scene.observed.dtype == torch.float32
        assert 0 <= scene.observed.min() <= scene.observed.max() <= 1
        assert {m.shape for m in (scene.target, scene.mask, scene.fixations)} == {(1, 96, 128)}
        assert scene.target.max() == 1
        assert not torch.equal(scene.target, scene.mask)
        assert scene.fixations.sum() == 20
        assert set(scene.fixations.unique().tolist()) == {0, 1} == set(scene.mask.unique().tolist())


def test_people_look_at_the_odd_item(scenes):
    hits, centre = [], []
    for scene in scenes:
        y, x = scene.mask[0].nonzero().double().mean(0)
        peak = torch.tensor(divmod(int(scene.target.argmax()), 128))
        assert torch.hypot(*(peak - torch.stack([y, x]))) < 2
        looked = scene.fixations[0].nonzero()
        hits.append((torch.hypot(*(looked - peak).T.double()) < 3 * 8).double().mean())
        centre.append([y / 96 - 0.5, x / 128 - 0.5])
    assert torch.stack(hits).mean() == pytest.approx(
        0.85 * (1 - np.exp(-4.5)) + 0.15 * 0.2,
        abs=0.05,
    )  # 3 deviations; few lapses fall inside
    assert np.abs(np.mean(centre, 0)).max() < 0.1
    assert np.std(centre, 0).min() > 0.15  # the centre alone does not tell


def test_a_scene_is_a_function_of_its_number(scenes):
    again = Popout(test=7).open(None, "test")
    assert torch.equal(scenes[6].observed, again[6].observed)
    assert torch.equal(scenes[6].fixations, again[6].fixations)
    assert not torch.equal(scenes[6].observed, scenes[5].observed)
    assert not torch.equal(scenes[6].observed, Popout(seed=1).open(None, "test")[6].observed)
    prints = [part.open(None, "test").fingerprint for part in (Popout(), Popout(seed=1), Popout(looks=5), Popout(width=96))]
    assert len({*prints}) == 4


def test_the_mask_is_one_item(scenes):
    areas = [scene.mask.sum().item() for scene in scenes]
    assert 55 < min(areas) < 80  # half axes of 8 and 3 pixels make 75, or less at the border
    assert 200 < max(areas) < 230  # 1.7 times as large


@pytest.mark.parametrize("options", [{"height": 40}, {"looks": 0}, {"train": -1}])
def test_scenes_refuse_senseless_options(options):
    with pytest.raises(ValueError, match="must be >= 0"):
        Popout(**options)


# published layouts


@pytest.mark.oracle("dataset", "mit1003")
def test_mit1003_in_the_authors_layout(tmp_path):
    for i in range(12):
        paint(tmp_path / f"MIT1003/ALLSTIMULI/i{i}.jpeg", np.full((30, 40, 3), 10 * i))
        density = np.zeros((30, 40))
        density[8:16, 16:24] = 128
        paint(tmp_path / f"MIT1003/ALLFIXATIONMAPS/i{i}_fixMap.jpg", density)
        Image.fromarray(((density > 0) * 255).astype(np.uint8)).save(tmp_path / f"MIT1003/ALLFIXATIONMAPS/i{i}_fixPts.jpg", quality=100)
    counts = [MIT1003().count(tmp_path, split) for split in ("train", "validation", "test")]
    assert sum(counts) == 12
    everything = MIT1003(split="test").open(tmp_path, "test")
    assert everything.names == sorted(f"i{i}" for i in range(12))
    seen = everything[0]
    assert seen.observed.shape == (3, 30, 40)
    assert seen.target.max() == 1
    assert seen.fixations.sum() == 64
    assert MIT1003(split="test").count(tmp_path, "train") == 0


@pytest.mark.oracle("dataset", "salicon")
def test_salicon_in_the_authors_layout(tmp_path):
    root = tmp_path / "SALICON"
    for part, count in (("train", 20), ("val", 2)):
        for i in range(count):
            name = f"COCO_{part}2014_{i:012d}"
            paint(root / f"images/{part}/{name}.jpg", np.full((48, 64, 3), 40))
            paint(root / f"maps/{part}/{name}.png", np.eye(48, 64) * 200)
            gaze = np.empty((2, 1), dtype=[("location", object), ("timestamp", object), ("fixations", object)])
            for k, points in enumerate(([[1, 1], [64, 48]], np.zeros((0, 2)))):  # x, y from 1; the second observer saw nothing
                gaze[k, 0] = (np.zeros((3, 2)), np.zeros((3, 1)), np.array(points, np.uint16))
            path = root / f"fixations/{part}/{name}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(path, {"image": name, "resolution": np.array([[48, 64]]), "gaze": gaze})
    counts = [Salicon().count(tmp_path, split) for split in ("train", "validation", "test")]
    assert counts[0] + counts[1] == 20
    assert counts[1] > 0
    assert counts[2] == 2
    seen = Salicon().open(tmp_path, "test")[0]
    assert seen.target.max() == 1
    assert seen.fixations[0].nonzero().tolist() == [[0, 0], [47, 63]]
    path.write_bytes(b"no matlab file")
    with pytest.raises(UsageError, match="cannot read the fixations"):
        Salicon().open(tmp_path, "test")
    assert len(Salicon(on_corrupt="skip").open(tmp_path, "test")) == 1


def sod(tmp_path):
    for i, part in enumerate(("train", "train", "val")):
        paint(tmp_path / f"sod_saliency/gt/{i}.png", np.eye(20, 30) * 255)
        paint(tmp_path / f"sod_saliency/pred_X/{i}.png", np.full((20, 30), 51))
        paint(tmp_path / f"bsds500_color/{part}/{i}.jpg", np.full((20, 30, 3), 10))
    return tmp_path


@pytest.mark.oracle("dataset", "sod")
def test_sod_takes_its_photographs_from_bsds(tmp_path):
    root = sod(tmp_path)
    seen = SOD().open(root, "test")
    assert seen.names == ["0", "1", "2"]
    first = seen[0]
    assert first.mask.sum() == 20
    assert first.target is first.mask
    assert SOD().count(root, "train") == 0
    assert SOD(split="bsds").open(root, "test").names == ["2"]
    assert SOD(split="bsds").count(root, "train") + SOD(split="bsds").count(root, "validation") == 2


def test_sod_shows_predictions_in_place_of_photographs(tmp_path):
    root = sod(tmp_path)
    seen = SOD(pictures="pred_X").open(root, "test")[0]
    assert seen.observed.unique().tolist() == pytest.approx([0.2])
    with pytest.raises(Unavailable, match=r"mask 0 and 2 more: expected .*pred_Y/ID\.png"):
        SOD(pictures="pred_Y").open(root, "test")


@real
def test_the_sets_at_hand():
    root = Path(DATA)
    seen = MIT1003().open(root, "test")[0]
    assert seen.observed.shape[1:] == seen.target.shape[1:]
    assert seen.target.max() == 1
    assert seen.fixations is None
    assert [SOD(split="bsds").count(root, split) for split in ("train", "validation", "test")] == [182, 18, 100]
    first = SOD().open(root, "test")[0]
    assert first.observed.shape[1:] == first.mask.shape[1:]
