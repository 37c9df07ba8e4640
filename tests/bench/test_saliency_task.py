"""The task: what methods see, at which size maps are judged, what the truth is compared with."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.dataset import PictureSet
from bench.errors import UsageError
from bench.method import Method
from bench.spec import Spec
from bench.tasks import saliency
from bench.tasks._truth import Truth, resized
from bench.tasks.saliency import Saliency
from datasets.reading.saliency import Seen

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
TINY = "popout[train=6,validation=3,test=5,looks=12]"


def _open(root=None, **options):
    task = Saliency(**{"data": TINY, "height": 48, "width": 64, **options})
    task.open(root, torch.device("cpu"))
    return task


def _rng():
    return torch.Generator().manual_seed(3)


def _score(task, method):
    return task.score(registry.make("method", method)(task), lambda done, total: None)


class _Cheat(Method):
    """Answers from the truth."""

    def build(self, task):
        self.answers = iter([batch.target for batch in task._test.batches])

    def restore(self, batch):
        return next(self.answers)


# what methods see


def test_batches_are_a_function_of_the_generator():
    task = _open(sigma=0.1)
    a, b = task.batch(4, _rng()), task.batch(4, _rng())
    assert torch.equal(a.observed, b.observed)
    assert a.observed.shape == a.clean.shape == (4, 3, 48, 64)
    assert a.target.shape == (4, 1, 48, 64)
    assert (a.observed - a.clean).std().item() == pytest.approx(0.1, rel=0.2)  # clipping takes a little
    assert a.sigma == 0.1
    assert all(0 <= m.min() <= m.max() <= 1 for m in (a.observed, a.target))
    assert a.without_target().clean is None
    assert torch.equal(_open().batch(2, _rng()).observed, _open().batch(2, _rng()).clean)


def test_pictures_and_maps_are_mirrored_together():
    task = _open(data="popout[train=1,validation=1,test=2]")
    batch = task.batch(8, _rng())
    straight = task._training(0)
    for x, target in zip(batch.clean, batch.target):
        mirrored = torch.equal(x, straight[0].flip(-1))
        assert mirrored or torch.equal(x, straight[0])
        assert torch.equal(target, straight[1].flip(-1) if mirrored else straight[1])
    assert len({x.sum(0).argmax().item() for x in batch.clean}) == 2


def test_the_exam_is_the_same_for_all():
    first, again = (_open(sigma=0.1)._test for _ in range(2))
    assert all(torch.equal(a.observed, b.observed) for a, b in zip(first.batches, again.batches))
    assert first.names == [f"test_{i:05d}" for i in range(5)]
    assert _open(pictures=2)._test.names == ["test_00000", "test_00002"]
    assert _open(whole=True)._test.batches[0].observed.shape == (5, 3, 96, 128)


# how they are judged


def test_the_truth_scores_best_and_at_its_own_size():
    task = _open(whole=True)
    scores = task.score(_Cheat(task), lambda done, total: None)
    assert scores.values["cc"] == pytest.approx(1, abs=1e-6)
    assert scores.values["mae"] == pytest.approx(0, abs=1e-7)
    assert scores.values["kl"] == pytest.approx(0, abs=1e-6)
    names, values = scores.per_image["nss"]
    assert names == task._test.names
    assert len(values) == 5
    small = _open()
    enlarged = small.score(_Cheat(small), lambda done, total: None)
    assert 0.98 < enlarged.values["cc"] < 1  # shrunk and enlarged again
    assert set(scores.values) == {*small.metrics} == {*small.cards()}


def test_every_picture_meets_its_own_truth(monkeypatch):
    """Sets of mixed sizes are judged in groups, and names, maps and truths stay together."""
    made = []
    for i, (h, w) in enumerate([(40, 50), (40, 50), (50, 40), (40, 50)]):
        density = torch.zeros(1, h, w)
        density[:, 4 * i : 4 * i + 12, 4 * i : 4 * i + 12] = 1
        made.append(Seen(name=f"p{i}", observed=density.expand(3, -1, -1), target=density, mask=density, fixations=density))
    pictures = PictureSet([s.name for s in made], lambda i: made[i], "made")
    for whole in (False, True):
        task = _open(whole=whole, metrics=("cc", "nss"))
        monkeypatch.setattr(task, "_open", lambda data, split: pictures)
        scores = _score(task, "brightness")
        assert sorted(scores.per_image["cc"][0]) == ["p0", "p1", "p2", "p3"]
        assert min(scores.per_image["cc"][1]) > (0.999 if whole else 0.95)
        expected = {s.name: (1 - s.target.mean().item()) / s.target.std().item() for s in made}
        found = dict(zip(*scores.per_image["nss"]))
        assert found == pytest.approx(expected, rel=1e-5 if whole else 0.1)


def test_validation_is_the_first_metric_on_other_pictures():
    task = _open(metrics=("nss", "cc"))
    m = registry.make("method", "contrast")(task)
    assert task.validate(m).keys() == {"nss"}
    assert task.validate(m)["nss"] != task.score(m, lambda done, total: None).values["nss"]
    assert task.ranked_by().metric == "nss"


def test_others_are_fixations_on_other_pictures():
    made = []
    for i in range(3):
        fixations = torch.zeros(1, 20, 40)
        fixations[0, 2 * i, 3 * i] = 1
        made.append(Seen(name=str(i), observed=torch.zeros(3, 20, 40), target=torch.ones(1, 20, 40), fixations=fixations))
    truth = Truth(PictureSet(["0", "1", "2"], lambda i: made[i], "made"), lambda: torch.full((1, 5, 5), 0.25))
    of = truth.of("1", truth.kinds)
    assert of["others"][0].nonzero().tolist() == [[0, 0], [4, 6]]
    assert of["fixations"][0].nonzero().tolist() == [[2, 3]]
    torch.testing.assert_close(of["baseline"], torch.full((1, 20, 40), 0.25))
    assert truth.kinds == of.keys() == {"target", "fixations", "others", "baseline"}
    alone = Truth(PictureSet(["0"], lambda i: made[i], "made"), lambda: torch.ones(1, 5, 5))
    assert "others" not in alone.kinds | alone.of("0", frozenset({"others"})).keys()


def test_the_mean_training_map_gains_nothing_and_the_truth_much():
    task = _open(data="popout[train=40,validation=3,test=20]", metrics=("information_gain", "shuffled_auc"))
    mean = task._baseline
    assert mean.shape == (1, 48, 64)

    class Mean(Method):
        def restore(self, batch):
            return mean.expand(len(batch), -1, -1, -1)

    assert task.score(Mean(task), lambda done, total: None).values["information_gain"] == pytest.approx(0, abs=0.05)
    assert task.score(_Cheat(task), lambda done, total: None).values["information_gain"] > 1


def test_resizing_keeps_means_and_the_unit_range():
    x = torch.rand(2, 1, 30, 40, generator=_rng())
    assert resized(x, (30, 40)) is x
    small = resized(x, (15, 20))
    assert small.mean().item() == pytest.approx(x.mean().item(), abs=0.01)
    assert 0 <= resized(x.round(), (60, 80)).min() <= resized(x.round(), (60, 80)).max() <= 1


# data that lack something


def _folder_of_masks(tmp_path):
    for i in range(3):
        for folder, pixels in (("gt", np.eye(32, 40) * 255), ("pred_X", np.eye(32, 40) * 204)):
            path = tmp_path / "sod_saliency" / folder / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path


def test_masks_without_fixations(tmp_path):
    task = _open(_folder_of_masks(tmp_path), data="sod[pictures=pred_X]", whole=True)
    assert "nss" not in task.cards()
    assert "brings no fixations" in task.notes()["unavailable.nss"]
    scores = _score(task, "brightness")
    assert scores.values["mae"] == pytest.approx(0.2 / 40, abs=1e-6)
    assert scores.values["f_beta"] == pytest.approx(1)
    assert scores.values["cc"] == pytest.approx(1, abs=1e-6)
    assert task.batch(1, _rng()).observed.shape == (1, 3, 48, 64)  # trained on pop-out scenes: the set is for testing alone


def test_what_is_no_saliency_is_refused():
    with pytest.raises(UsageError, match="does not have"):
        _open(data="photos").cards()
    with pytest.raises(UsageError, match="does not judge saliency"):
        _open(metrics=("psnr",)).cards()
    with pytest.raises(ValueError, match="must be >= 16"):
        _open(height=8)


@real
@pytest.mark.slow
def test_published_predictions_through_the_task():
    task = _open(Path(DATA), data="sod[pictures=pred_DSS]", whole=True, metrics=("mae",))
    scores = _score(task, "brightness")
    assert len(scores.per_image["mae"][1]) == 300
    assert scores.values["mae"] == pytest.approx(0.1213, abs=5e-4)


def test_denoised_pictures_are_scored_beside_the_maps():
    t = registry.make("task", 'saliency[data="popout[train=2,validation=1,test=3]",height=48,width=64,sigma=0.1]')
    t.open(None, torch.device("cpu"))
    small = {"encoder": "small", "width": 4, "denoiser_width": 4, "ndf": 4}
    for ablation in ("noisy", "joint"):
        m = registry.make("method", Spec("dsal_gan", {**small, "ablation": ablation}))(t)
        values = t.score(m, lambda done, total: None).values
        psnr = registry.make("metric", "psnr")
        batch = t._test.batches[0]
        assert values["denoised_psnr"] == pytest.approx(psnr(m.denoise(batch), batch.clean).mean().item(), abs=1e-4)
        assert {"denoised_psnr", "denoised_ssim"} <= values.keys() & t.cards().keys()
        if ablation == "noisy":  # nothing is denoised: the noise itself, clipped
            assert values["denoised_psnr"] == pytest.approx(psnr(batch.observed, batch.clean).mean().item(), abs=1e-4)
    assert "denoised_psnr" not in t.score(registry.make("method", "centre_prior")(t), lambda done, total: None).values


# pictures without truth


def _seen_by_people(root, names, dark=(), unseen=()):
    """Photographs with densities and fixations as MIT1003 publishes them; some densities black, some pictures without a fixation."""
    pictures, maps = (root / "MIT1003" / folder for folder in ("ALLSTIMULI", "ALLFIXATIONMAPS"))
    pictures.mkdir(parents=True)
    maps.mkdir()
    for name in names:
        rng = np.random.default_rng(sum(map(ord, name)))
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(pictures / f"{name}.jpeg", quality=95)
        y, x = rng.integers(10, 50, 4), rng.integers(10, 70, 4)
        density, points = np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8)
        if name not in unseen:
            points[y, x] = 255
        if name not in dark:
            for row, column in zip(y, x):
                density[row - 4 : row + 5, column - 4 : column + 5] = 250
        for kind, image in (("fixMap", density), ("fixPts", points)):
            Image.fromarray(image).save(maps / f"{name}_{kind}.jpg", quality=100)
    return root


_MEASURES = ("cc", "kl", "nss", "sim", "auc_judd", "shuffled_auc", "information_gain", "mae")


def test_pictures_without_truth_are_named_and_no_measure_judges_them(tmp_path, monkeypatch):
    """A black density would be a perfect KL, and one picture without fixations would stop the suite."""
    monkeypatch.setattr(saliency, "_BASELINE", 8)  # training maps: their mean is no matter here
    some = {"data": "mit1003[split=test]", "metrics": _MEASURES}
    task = _open(_seen_by_people(tmp_path / "all", "abcd", dark="b", unseen="d"), **some)
    assert task.notes()["without_truth"] == (
        "2 of 4 test pictures have no truth and are left out of every measure: b (its density is black everywhere), d (no fixation)"
    )
    found = _score(task, "spectral_residual")
    assert all(names == ["a", "c"] and all(map(np.isfinite, values)) for names, values in found.per_image.values())
    expected = _score(_open(_seen_by_people(tmp_path / "some", "ac"), **some), "spectral_residual")
    assert found.values == pytest.approx(expected.values, abs=1e-12)
    assert "without_truth" not in _open(tmp_path / "some", **some).notes()


def test_a_split_without_any_truth_is_refused_before_anything_runs(tmp_path):
    task = _open(_seen_by_people(tmp_path, "abcdefg", dark="abcdefg"), data="mit1003[split=test]", metrics=("cc", "nss"))
    with pytest.raises(
        UsageError, match=r"no picture has a truth to be compared with: a \(its density is black everywhere\), .* and 2 more"
    ):
        task.cards()


def test_a_mask_without_an_object_is_no_truth(tmp_path):
    (root := tmp_path / "SOD").mkdir()
    for folder in ("gt", "images"):
        (root / folder).mkdir()
    for name, level in (("1", 255), ("2", 0)):
        mask = np.zeros((40, 50), np.uint8)
        mask[10:20, 10:30] = level
        Image.fromarray(mask).save(root / "gt" / f"{name}.png")
        Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(root / "images" / f"{name}.jpg")
    task = _open(tmp_path, data="sod", metrics=("f_beta", "mae"))
    assert task.notes()["without_truth"].endswith(": 2 (no object in its mask)")
    assert _score(task, "brightness").per_image["f_beta"][0] == ["1"]


def test_others_come_from_pictures_that_have_fixations():
    """Ten of them, whichever lie between."""
    places = torch.arange(16).reshape(16, 1, 1, 1) == torch.arange(16).reshape(1, 1, 4, 4)  # each picture was looked at in one place
    marks = places.float() * (torch.arange(16) % 4 > 0).reshape(16, 1, 1, 1)  # but every fourth
    pictures = [Seen(name=str(i), observed=torch.zeros(3, 4, 4), target=torch.ones(1, 4, 4), fixations=m) for i, m in enumerate(marks)]
    truth = Truth(PictureSet([p.name for p in pictures], lambda i: pictures[i], ""), lambda: marks[0])
    assert truth.judged == [i for i in range(16) if i % 4]
    for i in truth.judged:
        others = truth.of(str(i), frozenset({"others"}))["others"]
        assert others.sum() == 10
        assert others.flatten()[i] == 0


# maps that are no numbers


class _Broken(Method):
    """Maps with one value that is no number."""

    def restore(self, batch):
        maps = batch.observed.mean(1, keepdim=True).clone()
        maps[0, 0, 3, 3] = float("nan")
        return maps


def test_a_map_that_is_no_number_scores_nothing():
    task = _open()
    found = task.score(_Broken(task), lambda done, total: None)
    assert all(np.isnan(value) for value in found.values.values())
    assert np.isnan(list(task.validate(_Broken(task)).values())).all()  # which ends a training as diverged
