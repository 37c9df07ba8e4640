"""The task of low-dose CT: pairs, sinograms, the evaluation set, the gallery."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.dataset import EMPTY, Picture, PictureSet
from bench.errors import UsageError
from bench.method import Batch
from bench.operators import ct
from bench.tasks import _pictures, ldct
from datasets.degrade.low_dose import LowDose
from methods.classical.identity import Identity

DATA = os.environ.get("GANBENCH_DATA")
SMALL = 'ldct[crop=24,data="ellipses[size=40,train=5,validation=2,test=3]",dose="low_dose[photons=5e3,views=30]"]'


def opened(spec=SMALL, root=None):
    task = registry.make("task", spec)
    task.open(root, torch.device("cpu"))
    return task


@pytest.fixture(scope="module")
def task():
    return opened()


def exam_of(task):
    (batch,) = task._test.batches
    return batch


def test_the_exam_is_whole_slices_with_their_sinograms(task):
    batch = exam_of(task)
    assert batch.observed.shape == batch.target.shape == (3, 1, 40, 40)
    assert batch.sinogram.shape == (3, 30, 40)
    torch.testing.assert_close(ct.picture(task.scanner.fbp(batch.sinogram, 40)), batch.observed)
    assert {"paired", "sinogram"} <= task.offers
    assert task.channels == 1


def test_the_exam_is_the_same_for_everyone(task):
    assert torch.equal(exam_of(task).observed, exam_of(opened()).observed)


def test_each_slice_has_noise_of_its_own(task):
    slice_ = task._split("test")[0]
    seen = [task._evaluation_set([slice_, dataclasses.replace(slice_, name="again")], part).batches[0].observed for part in (0, 1)]
    seen.append(task._observe(slice_, ldct._TRAIN_PART, 0).observed)
    every = torch.cat(seen)
    assert len({tuple(x.flatten().tolist()) for x in every}) == len(every) == 5


def test_training_pairs_are_crops_of_one_scan_a_slice(task):
    a, b, other = (task.batch(6, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert a.observed.shape == a.target.shape == (6, 1, 24, 24)
    assert torch.equal(a.observed, b.observed)
    assert not torch.equal(a.observed, other.observed)
    whole = torch.stack([source.picture.observed for source in task._crops.sources])
    windows = torch.cat([w.unfold(2, 24, 1).unfold(3, 24, 1).reshape(-1, 24, 24) for w in (whole, whole.flip(-1))])
    for crop in a.observed:  # two draws of a slice show the same noise
        assert (windows == crop).all((1, 2)).any()


def test_nothing_is_less_than_air_and_beyond_the_disc_is_air(task):
    x = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    x[..., 20, 20] = 0  # -1024 HU
    target = task.degrade(x, torch.Generator().manual_seed(0)).target
    air, inside = ct.from_hu(torch.tensor(-1000.0)), ct.inscribed_disc(40)
    torch.testing.assert_close(target[0, 0][~inside], air.expand(int((~inside).sum())))
    assert target[0, 0, 20, 20] == pytest.approx(air.item(), abs=1e-6)
    torch.testing.assert_close(target[0, 0][inside & (x[0, 0] > 0.01)], x[0, 0][inside & (x[0, 0] > 0.01)])


def test_scores_have_a_column_and_a_card_for_each_window(task):
    scores = task.score(Identity(task), lambda done, total: None)
    assert scores.values.keys() == task.cards().keys()
    assert len({card.hash for card in task.cards().values()}) == len(task.cards()) == 5
    batch = exam_of(task)
    a, b = (image.double().clamp(*((np.array([-160, 240]) + 1024) / 4096)) for image in (batch.observed, batch.target))
    mse = ((a - b) * 4096 / 400).square().mean((1, 2, 3))
    assert scores.values["psnr"] == pytest.approx(float((-10 * mse.log10()).mean()), abs=1e-3)
    assert scores.values["psnr_hu[window=full]"] > scores.values["psnr"]
    assert next(iter(task.validate(Identity(task)))) == "psnr"


def test_the_dose_is_part_of_the_protocol(task):
    assert ("degradation", task.dose) in task.components()
    poor, rich = (exam_of(opened(SMALL.replace("5e3", photons))) for photons in ("1e3", "1e6"))
    assert (poor.observed - poor.target).square().mean() > 3 * (rich.observed - rich.target).square().mean()


def test_pairs_that_came_as_pairs_are_judged_as_they_are(monkeypatch):
    pairs = [Picture(name=str(i), target=torch.full((1, 16, 16), 0.25), observed=torch.full((1, 16, 16), 0.3)) for i in range(2)]
    monkeypatch.setattr(ldct.LDCT, "_open", lambda self, data, split, instead="": PictureSet(["0", "1"], lambda i: pairs[i], "x"))
    task = opened("ldct[crop=8]")
    assert "sinogram" not in task.offers
    assert exam_of(task).sinogram is None
    assert torch.equal(exam_of(task).observed, torch.full((2, 1, 16, 16), 0.3))
    assert torch.equal(task.batch(3, torch.Generator().manual_seed(0)).observed, torch.full((3, 1, 8, 8), 0.3))


def test_a_set_without_training_slices_trains_on_phantoms(monkeypatch):
    from datasets.ellipses import Ellipses

    real_open = Ellipses.open
    monkeypatch.setattr(
        Ellipses, "open", lambda self, root, split: EMPTY if self.test == 3 and split == "train" else real_open(self, root, split)
    )
    assert len(opened()._split("train")) == 256


def test_the_gallery_shows_the_window(task, tmp_path):
    task.gallery(Identity(task), tmp_path)
    item = json.loads((tmp_path / "00.json").read_text())
    shown = np.asarray(Image.open(tmp_path / item["target"]))
    assert shown.shape == (40, 40)
    index = task._test.names.index(item["name"])
    assert np.abs(shown / 255 - ct.clip_to_window(exam_of(task).target[index, 0], "abdomen").numpy()).max() < 0.003


def test_training_scans_are_made_once_in_large_sets_too(monkeypatch):
    monkeypatch.setattr(_pictures, "PRELOAD", 2)
    task, made = opened(), []
    monkeypatch.setattr(LowDose, "scan", lambda dose, x, rng, scan=LowDose.scan: made.append(1) or scan(dose, x, rng))
    for seed in range(8):
        task.batch(8, torch.Generator().manual_seed(seed))
    assert len(made) == 5


def test_whole_scans_to_tune_on(task):
    scans = task.scans(3)
    assert scans.sinogram.shape == (3, 30, 40)
    assert scans.target.shape == (3, 1, 40, 40)
    assert not torch.equal(scans.observed, exam_of(task).observed)
    assert len(task.scans(99)) == 5


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("ldct[tile=64]", UsageError, "whole slices"),
        ("ldct[crop=4]", UsageError, "crop must be >= 8"),
        ("ldct[dose=motion_blur]", UsageError, "needs a low dose, not motion_blur"),
        ("ldct[data=photos]", UsageError, "square slices of one channel"),
        (SMALL.replace("crop=24", "crop=24,profile=bsd"), UsageError, "unknown profile"),
    ],
)
def test_impossible_tasks(spec, error, message):
    with pytest.raises(error, match=message):
        opened(spec).cards(), exam_of(opened(spec))


def test_a_batch_carries_its_sinogram():
    batch = Batch(torch.zeros(3, 1, 4, 4), torch.zeros(3, 1, 4, 4), sinogram=torch.arange(3.0)[:, None, None].expand(3, 5, 4))
    assert batch.pick(2).sinogram.unique().tolist() == [2]
    assert batch.without_target().sinogram is batch.sinogram
    assert batch.to("cpu").sinogram.shape == (3, 5, 4)


@pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
def test_real_slices_at_low_dose():
    pytest.importorskip("pydicom")
    task = opened('ldct[crop=24,data="dicom[split=test,size=64]",dose="low_dose[photons=2e4,views=60]"]', Path(DATA))
    assert len(task._test) == 16
    values = task.score(Identity(task), lambda done, total: None).values
    assert 15 < values["psnr"] < 25
    assert values["rmse_hu"] < 100
